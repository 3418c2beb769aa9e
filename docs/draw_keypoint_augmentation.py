"""Draws ``docs/images/keypoint_augmentation.png``: what each step of ``data.augment_keypoints`` does to a clip.

Renders a clip of the synthetic signer, has MediaPipe find its keypoints, and lets the training pipeline's own
functions do the rest. Each row is one draw: of 32, the middle one by how many points it moves or takes, and how
far. A point that is missing is not drawn. The mark under a frame says where in the clip it was taken.

Example:
  python docs/draw_keypoint_augmentation.py --output docs/images/keypoint_augmentation.png
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

# The scripts beside this one.
from draw_augmentation import NUM_DRAWS, POPULATION, WHITE, Array, Row, compose

from sign_keras.config import AugmentConfig, KeypointAugmentConfig
from sign_keras.data.clip import prepare_clip
from sign_keras.data.draws import draw
from sign_keras.data.parsing import parse_record
from sign_keras.data.sampling import sample_frames
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.convert import convert_source
from tfrecords_tools.keypoint_layout import ARM_BONES, HAND_BONES, MEDIAPIPE_HOLISTIC
from tfrecords_tools.shards import find_shards, read_shard
from tfrecords_tools.synthesize import synthesize

SIGNER, GLOSS = 14, "hello"
SAMPLING = SamplingSpec(num_frames=6, height=128, width=128)
STILL = {"temporal_jitter": 0}
ALWAYS = {"probability": 1}
# Label, ``data.augment`` and ``data.augment_keypoints`` of each row.
ROWS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("as in evaluation", STILL, {}),
    ("augment.mirror", STILL | {"mirror": 1}, {}),
    ("speed: 0.5,\ninterpolate", STILL | {"speed": 0.5}, {"interpolate": True}),
    ("affine", STILL, {"affine": ALWAYS}),
    ("noise\n(deviation: 0.02)", STILL, {"noise": ALWAYS | {"deviation": 0.02, "drift": 0}}),
    ("noise\n(drift: 0.02)", STILL, {"noise": ALWAYS | {"deviation": 0, "drift": 0.02}}),
    ("spatial_mask", STILL, {"spatial_mask": ALWAYS}),
    ("finger_dropout", STILL, {"finger_dropout": ALWAYS}),
    ("hand_dropout", STILL, {"hand_dropout": ALWAYS}),
    ("frame_dropout", STILL, {"frame_dropout": ALWAYS | {"rate": 0.2}}),
    ("temporal_mask", STILL, {"temporal_mask": ALWAYS}),
    (
        "all at once",
        {"mirror": 0.5, "speed": 0.5},
        {"interpolate": True, **dict.fromkeys(KeypointAugmentConfig().steps, ALWAYS)},
    ),
)
BONES = (
    *((f"pose/{start}", f"pose/{end}", (120, 120, 128)) for start, end in ARM_BONES),
    *((f"left_hand/{start}", f"left_hand/{end}", (20, 120, 200)) for start, end in HAND_BONES),
    *((f"right_hand/{start}", f"right_hand/{end}", (214, 80, 30)) for start, end in HAND_BONES),
)
FACE_COLOUR = (190, 190, 196)
SUPERSAMPLING = 4  # drawn so much larger, then shrunk: smooth edges


def render_clip(folder: Path) -> dict[str, tf.Tensor]:
    """``SIGNER`` with ``GLOSS``: the record, parsed."""
    people = {"signers": 1, "first_signer": SIGNER, "seed": POPULATION}
    synthesize(folder / "videos", clips_per_gloss=1, glosses=[GLOSS], size=256, **people)
    settings = {"short_side": 144, "split": {"by": "clip", "validation": 0, "test": 0}}
    info = convert_source("video_folders", folder / "videos" / "clips", folder / "records", settings, workers=1)
    [shard] = find_shards(folder / "records", info, "train")
    [record] = read_shard(shard)
    return parse_record(tf.constant(record), MEDIAPIPE_HOLISTIC)


def augmented_row(
    label: str, settings: dict[str, Any], of_keypoints: dict[str, Any], parsed: dict[str, tf.Tensor]
) -> Row:
    """The clip under the middle one of ``NUM_DRAWS`` draws."""
    config, own = AugmentConfig(**settings), KeypointAugmentConfig.model_validate(of_keypoints)
    plain = prepare_clip(parsed, SAMPLING, ("keypoints",))["keypoints"].numpy()
    clips = []
    for number in range(NUM_DRAWS):
        drawn = draw(config, SAMPLING.num_frames, tf.constant([1, number], tf.int64), own)
        clip = prepare_clip(
            parsed,
            SAMPLING,
            ("keypoints",),
            layout=MEDIAPIPE_HOLISTIC,
            augment=config,
            of_keypoints=own,
            drawn=drawn,
        )
        points = clip["keypoints"].numpy()
        # A point that is lost counts as one that went across the picture.
        strength = np.where(np.isnan(points), ~np.isnan(plain), np.abs(points - plain))
        indices, _ = sample_frames(parsed["timestamps"], SAMPLING, *drawn.when)
        places = indices.numpy() / (len(parsed["timestamps"]) - 1)
        clips.append((np.nansum(strength[:, _shown_rows()]), points, places))
    _, points, places = sorted(clips, key=lambda clip: clip[0])[NUM_DRAWS // 2]
    return Row(label, np.stack([stick_figure(frame) for frame in points]), places)


def _shown_rows() -> list[int]:
    return sorted({MEDIAPIPE_HOLISTIC.row(name) for bone in BONES for name in bone[:2]})


def stick_figure(points: Array) -> Array:
    """``[H, W, 3]`` uint8: face, arms and hands of one frame's ``[K, 3]`` keypoints."""
    size = SAMPLING.height * SUPERSAMPLING
    picture = np.full((size, size, 3), WHITE, np.uint8)
    places = dict(zip(MEDIAPIPE_HOLISTIC.names, points[:, :2] * size, strict=True))
    found = {
        name: tuple(place.round().astype(int).tolist()) for name, place in places.items() if place[0] == place[0]
    }
    for name, place in found.items():
        if name.startswith("face/"):
            cv2.circle(picture, place, SUPERSAMPLING, FACE_COLOUR, cv2.FILLED)
    for start, end, colour in BONES:
        if start in found and end in found:
            cv2.line(picture, found[start], found[end], colour, SUPERSAMPLING, cv2.LINE_AA)
    cv2.rectangle(picture, (0, 0), (size - 1, size - 1), FACE_COLOUR, SUPERSAMPLING)
    return cv2.resize(picture, (SAMPLING.width, SAMPLING.height), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, default=Path("docs/images/keypoint_augmentation.png"), metavar="FILE"
    )
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        parsed = render_clip(Path(folder))
    picture = compose([augmented_row(*row, parsed) for row in ROWS])
    output.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(64).save(output, optimize=True)
    print(f"{output}: {picture.width}x{picture.height}, {output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
