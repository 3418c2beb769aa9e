"""Camera, light and background, and the pictures taken with them.

`render_clip` films a performance, with the ground truth; `render_empty_scene` films a room with nobody in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from tfrecords_tools.synthetic.anatomy import (
    JOINT_NAMES,
    LEFT,
    RIGHT,
    Array,
    Skeleton,
    pose_skeleton,
    rotation_x,
    rotation_y,
    rotation_z,
)
from tfrecords_tools.synthetic.paint import base_colours, paint_clothes, paint_face, paint_hand
from tfrecords_tools.synthetic.performance import Performance, perform
from tfrecords_tools.synthetic.rasterizer import Camera, Light, composite, rasterize, shade
from tfrecords_tools.synthetic.signers import Signer
from tfrecords_tools.synthetic.signs import LEXICON
from tfrecords_tools.synthetic.surface import (
    body_spheres,
    torso_loft,
)

_HAND_START = {side: JOINT_NAMES.index(f"{name}_hand/wrist") for side, name in ((LEFT, "left"), (RIGHT, "right"))}
_MIDDLE_MCP = 9
ASPECTS = (1.0, 1.0, 1.0, 1.25, 0.9375)
"""Frame width over height, drawn per clip."""
FRAME_RATES = (12, 18)
"""Lowest and highest frame rate drawn, frames per second."""


@dataclass(frozen=True)
class Scene:
    """Where and how a clip is filmed.

    Attributes:
        camera: of the clip.
        light: of the clip.
        background: `[H, W, 3]` uint8 RGB.
        grain: standard deviation of the sensor's noise, 0..255.
        shake: of the camera, standard deviation in pixels.
    """

    camera: Camera
    light: Light
    background: Array
    grain: float
    shake: float


@dataclass(frozen=True)
class Film:
    """Frames, and where things are in them.

    Attributes:
        frames: `[T, H, W, 3]` uint8 RGB.
        joints: `[T, J, 2]` float32, frame widths and heights, in the order of `anatomy.JOINT_NAMES`.
        hand_unit: `[T, 2]` float32, left and right: length of a hand unit at that hand, frame widths.
    """

    frames: Array
    joints: Array
    hand_unit: Array


@dataclass(frozen=True)
class RenderedClip:
    """A filmed performance with its ground truth.

    Attributes:
        frames: `[T, H, W, 3]` uint8 RGB.
        frame_rate: frames per second.
        glosses: what is signed.
        joints: `[T, J, 2]` float32, frame widths and heights, in the order of `anatomy.JOINT_NAMES`.
        hand_in_view: `[T, 2]` bool, left and right: all 21 joints inside the frame.
        hand_unit: `[T, 2]` float32, left and right: length of a hand unit at that hand, frame widths.
        gloss_index: `[T]` int64 index into `glosses`, -1 outside signs.
        phase: `[T]` str: "rest", "transition" or "sign".
    """

    frames: Array
    frame_rate: float
    glosses: tuple[str, ...]
    joints: Array
    hand_in_view: Array
    hand_unit: Array
    gloss_index: Array
    phase: Array


# ---------------------------------------------------------------------------------------------------- scenes


def _muted_colour(rng: np.random.Generator) -> Array:
    """`[3]` a wall's colour: any hue, little saturation."""
    grey = rng.uniform(70, 225)
    return np.clip(grey + rng.normal(0.0, 18.0, 3), 20, 245)


def draw_background(rng: np.random.Generator, width: int, height: int) -> Array:
    """`[H, W, 3]` uint8: a wall with a gradient, stains of light, and perhaps furniture out of focus."""
    share = np.linspace(0.0, 1.0, height)[:, None, None]
    wall = _muted_colour(rng) * (1.0 - share) + _muted_colour(rng) * share
    picture = np.broadcast_to(wall, (height, width, 3)).astype(np.float32).copy()
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(-0.2, 1.0, 2) * (width, height)
        w, h = rng.uniform(0.12, 0.6, 2) * (width, height)
        colour = tuple(float(c) for c in _muted_colour(rng) * 0.6 + picture.mean(axis=(0, 1)) * 0.4)
        cv2.rectangle(picture, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    blurred: Array = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.008, 0.03) * height)
    stains = cv2.resize(
        rng.normal(0.0, 9.0, (7, 7)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(blurred + stains[..., None], 0, 255).astype(np.uint8)


def draw_light(rng: np.random.Generator) -> Light:
    warmth = rng.normal(0.0, 0.035)
    strength = rng.uniform(0.92, 1.10)
    return Light(
        direction=np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.8, -0.3), 0.9]),
        ambient=float(rng.uniform(0.48, 0.62)),
        tint=strength * np.array([1.0 + warmth, 1.0, 1.0 - warmth]),
    )


def frame_size(size: int, aspect: float) -> tuple[int, int]:
    """Width and height, both even as H.264 needs them."""
    return round(size * aspect / 2) * 2, round(size / 2) * 2


def draw_scene(signer: Signer, rng: np.random.Generator, size: int, aspect: float | None = None) -> Scene:
    """Chooses camera, light and background for one clip of a signer.

    Args:
        signer: whose framing the camera follows, roughly.
        rng: everything that differs between two clips.
        size: frame height, pixels.
        aspect: frame width over height; None draws one of `ASPECTS`.
    """
    width, height = frame_size(size, float(rng.choice(ASPECTS)) if aspect is None else aspect)
    turn = np.deg2rad(rng.normal(0.0, (4.0, 2.5, 1.2)).clip((-9, -6, -3), (9, 6, 3)))
    centre = np.array(signer.framing.centre) + rng.normal(0.0, (0.012, 0.008))
    camera = Camera(
        width=width,
        height=height,
        scale=height * signer.framing.scale * float(rng.uniform(0.97, 1.03)),
        centre=centre * (width, height),
        rotation=rotation_x(turn[1]) @ rotation_y(turn[0]) @ rotation_z(turn[2]),
    )
    background = draw_background(rng, width, height)
    grain, shake = float(rng.uniform(1.0, 4.0)), float(rng.uniform(0.0, 0.5)) * size / 256
    return Scene(camera, draw_light(rng), background, grain, shake)


def finish(picture: Array, scene: Scene, rng: np.random.Generator) -> Array:
    """`[H, W, 3]` uint8 with the sensor's grain."""
    height, width = picture.shape[:2]
    noise = rng.standard_normal((height // 2, width // 2), np.float32) * np.float32(scene.grain)
    grain = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.add(picture, cv2.merge([grain, grain, grain]), dtype=cv2.CV_8U)


# --------------------------------------------------------------------------------------------------- signers


def draw_signer(skeleton: Skeleton, signer: Signer, scene: Scene, camera: Camera) -> Array:
    """`[H, W, 3]` uint8: a posed signer before the scene's background, without grain."""
    surface = rasterize(camera, body_spheres(skeleton, signer.looks), torso_loft(skeleton, signer.proportions))
    albedo = base_colours(surface.labels, signer.looks)
    paint_clothes(albedo, surface, camera, skeleton, signer.looks)
    paint_face(albedo, surface, camera, skeleton, signer.looks)
    for side in (LEFT, RIGHT):
        paint_hand(albedo, surface, camera, skeleton.hands[side], side)
    return composite(scene.background, shade(surface, albedo, scene.light, camera.scale), surface)


def _shaken(camera: Camera, shake: float, rng: np.random.Generator) -> Camera:
    return replace(camera, centre=camera.centre + rng.normal(0.0, 1.0, 2) * shake)


def hands_in_view(joints: Array) -> Array:
    """`[..., 2]` bool: whether all 21 joints of the left and right hand are in the frame.

    Args:
        joints: `[..., J, 2]` in frame widths and heights, in the order of `anatomy.JOINT_NAMES`.
    """
    inside = ((joints > 0.0) & (joints < 1.0)).all(axis=-1)
    return np.stack(
        [inside[..., _HAND_START[s] : _HAND_START[s] + 21].all(axis=-1) for s in (LEFT, RIGHT)], axis=-1
    )


def hand_units(skeleton: Skeleton, camera: Camera) -> Array:
    """`[2]` float32, left and right: the bone from wrist to middle MCP as seen side-on, frame widths."""
    _, scale = camera.project(skeleton.wrists)
    bones = np.linalg.norm(skeleton.hands[:, _MIDDLE_MCP] - skeleton.hands[:, 0], axis=-1)
    return (bones * scale / camera.width).astype(np.float32)


def shoot(
    performance: Performance,
    signer: Signer,
    rng: np.random.Generator,
    size: int,
    aspect: float | None = None,
) -> Film:
    """Films a performance in a scene of its own.

    Args:
        performance: what is done.
        signer: who does it.
        rng: scene, shake and grain.
        size: frame height, pixels.
        aspect: frame width over height; None draws one of `ASPECTS`.
    """
    scene = draw_scene(signer, rng, size, aspect)
    frames, joints, units = [], [], []
    for pose in performance.poses:
        skeleton = pose_skeleton(pose, signer.proportions)
        camera = _shaken(scene.camera, scene.shake, rng)
        frames.append(finish(draw_signer(skeleton, signer, scene, camera), scene, rng))
        joints.append(camera.normalised(skeleton.joints()))
        units.append(hand_units(skeleton, camera))
    return Film(np.stack(frames), np.stack(joints).astype(np.float32), np.stack(units))


def render_clip(
    signer: Signer,
    glosses: Sequence[str],
    rng: np.random.Generator,
    size: int = 256,
    frame_rate: float | None = None,
    aspect: float | None = None,
) -> RenderedClip:
    """Films a signer performing one gloss, or several as a sentence.

    Args:
        signer: who signs.
        glosses: entries of `signs.LEXICON`, one or more.
        rng: everything that differs between two clips.
        size: frame height, pixels.
        frame_rate: frames per second; None draws a whole number from `FRAME_RATES`.
        aspect: frame width over height; None draws one of `ASPECTS`.

    Raises:
        KeyError: a gloss is not in the lexicon.
        ValueError: no gloss at all.
    """
    if frame_rate is None:
        frame_rate = float(rng.integers(FRAME_RATES[0], FRAME_RATES[1] + 1))
    performance = perform([LEXICON[gloss] for gloss in glosses], signer, rng, frame_rate)
    film = shoot(performance, signer, rng, size, aspect)
    return RenderedClip(
        frames=film.frames,
        frame_rate=frame_rate,
        glosses=tuple(glosses),
        joints=film.joints,
        hand_in_view=hands_in_view(film.joints),
        hand_unit=film.hand_unit,
        gloss_index=performance.gloss_index,
        phase=performance.phase,
    )


def render_empty_scene(rng: np.random.Generator, size: int = 256, num_frames: int = 1) -> Array:
    """Films a room with nobody in it.

    Args:
        rng: everything that differs between two scenes.
        size: frame height and width, pixels.
        num_frames: frames to film.

    Returns:
        `[T, H, W, 3]` uint8 RGB.
    """
    width, height = frame_size(size, 1.0)
    camera = Camera(width, height, 1.0, np.zeros(2), np.eye(3))
    scene = Scene(camera, draw_light(rng), draw_background(rng, width, height), float(rng.uniform(1.0, 4.0)), 0.0)
    return np.stack([finish(scene.background, scene, rng) for _ in range(num_frames)])
