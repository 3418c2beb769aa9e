"""Draws ``docs/images/signer.png``: synthetic signers in mid-sign, with the keypoints that MediaPipe finds on them.

Nothing is drawn from the renderer's own knowledge: each line joins keypoints of MediaPipe Holistic, run on the
picture as on any other. A hand that it misses is missing here too.

Example:
  python docs/draw_signer.py --output docs/images/signer.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tfrecords_tools.keypoint_layout import ARM_BONES, HAND_BONES, MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import HAND_GROUPS, HolisticExtractor
from tfrecords_tools.synthetic import make_signer
from tfrecords_tools.synthetic.anatomy import pose_skeleton
from tfrecords_tools.synthetic.performance import perform
from tfrecords_tools.synthetic.scene import draw_scene, draw_signer, finish

Array = np.ndarray

TILE_WIDTH, TILE_HEIGHT, GAP = 394, 420, 8  # four tiles and their gaps: 1600 pixels
SUPERSAMPLING = 3  # drawn so much larger, then shrunk: smooth edges
POPULATION = 2026
# (index of the signer, gloss, where in the sign: 0 its first frame, 1 its last)
SCENES = ((14, "hello", 0.5), (13, "house", 0.3), (6, "see", 0.5), (15, "play", 0.5))
FRAME_RATE = 12.0

Colour = tuple[int, int, int]  # RGB
ARM_COLOUR: Colour = (255, 255, 255)
HAND_COLOURS: dict[str, Colour] = {"left_hand": (64, 220, 255), "right_hand": (255, 176, 46)}
FACE_COLOUR: Colour = (255, 255, 255)
FACE_OPACITY = 0.35


def render(signer_index: int, gloss: str, place: float) -> Array:
    """One frame of a sign, uint8 RGB, ``SUPERSAMPLING`` times the tile's size."""
    signer, rng = make_signer(POPULATION, signer_index), np.random.default_rng([POPULATION, signer_index])
    performance = perform([gloss], signer, rng, FRAME_RATE)
    signing = np.flatnonzero(performance.phase == "sign")
    skeleton = pose_skeleton(performance.poses[signing[round(place * (len(signing) - 1))]], signer.proportions)
    scene = draw_scene(signer, rng, TILE_HEIGHT * SUPERSAMPLING, TILE_WIDTH / TILE_HEIGHT)
    return finish(draw_signer(skeleton, signer, scene, scene.camera), scene, rng)


def find_keypoints(extractor: HolisticExtractor, picture: Array) -> dict[str, Array]:
    """Full name of each keypoint that was found -> ``[2]`` pixels."""
    extractor.start_clip()
    extractor.add_frame(picture)
    points = extractor.finish_clip().points[0, :, :2].astype(float) * picture.shape[1::-1]
    named = zip(MEDIAPIPE_HOLISTIC.names, points, strict=True)
    return {name: point for name, point in named if not np.isnan(point).any()}


def draw_keypoints(picture: Array, points: dict[str, Array]) -> Array:
    """The picture with face, arms and hands drawn over it."""
    unit = SUPERSAMPLING
    drawn = picture.copy()
    for name, point in points.items():
        if name.startswith("face/"):
            _dot(drawn, point, 0.75 * unit, FACE_COLOUR)
    drawn = cv2.addWeighted(drawn, FACE_OPACITY, picture, 1 - FACE_OPACITY, 0)
    _bones(drawn, points, "pose", ARM_BONES, ARM_COLOUR, 2.0 * unit)
    for group in HAND_GROUPS:
        _bones(drawn, points, group, HAND_BONES, HAND_COLOURS[group], 1.8 * unit)
    return drawn


def _bones(
    picture: Array,
    points: dict[str, Array],
    group: str,
    bones: Sequence[tuple[str, str]],
    colour: Colour,
    thickness: float,
) -> None:
    """Lines with a dark rim, so that they show on light and dark clothes alike, and a dot at each end."""
    ends = [(points.get(f"{group}/{a}"), points.get(f"{group}/{b}")) for a, b in bones]
    present = [(a, b) for a, b in ends if a is not None and b is not None]
    for rim, shade in ((0.9 * SUPERSAMPLING, (30, 30, 34)), (0.0, colour)):
        for a, b in present:
            start, end = ((round(p[0]), round(p[1])) for p in (a, b))
            cv2.line(picture, start, end, shade, round(thickness + 2 * rim), cv2.LINE_AA)
        for point in (point for pair in present for point in pair):
            _dot(picture, point, 0.95 * thickness + rim, shade)


def _dot(picture: Array, point: Array, radius: float, colour: Colour) -> None:
    cv2.circle(picture, (round(point[0]), round(point[1])), round(radius), colour, -1, cv2.LINE_AA)


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images/signer.png"), metavar="FILE")
    output = parser.parse_args().output
    extractor = HolisticExtractor(static=True)
    tiles = []
    for scene in SCENES:
        picture = render(*scene)
        points = find_keypoints(extractor, picture)
        hands = [group for group in HAND_GROUPS if f"{group}/wrist" in points]
        print(f"{scene[1]}: MediaPipe finds {', '.join(hands) or 'no hand'}")
        drawn = draw_keypoints(picture, points)
        tiles.append(cv2.resize(drawn, (TILE_WIDTH, TILE_HEIGHT), interpolation=cv2.INTER_AREA))
    gap = np.full((TILE_HEIGHT, GAP, 3), 255, np.uint8)
    strip = np.hstack([part for tile in tiles for part in (tile, gap)][:-1])
    output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(output), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{output}: {strip.shape[1]}x{strip.shape[0]}, {output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
