"""A person made of keypoints, who signs with one hand: clips with everything that features depend on."""

from typing import Any

import numpy as np

from sign_keras.config.keypoints import FeaturesConfig
from sign_keras.models.features.layer import KeypointFeatures
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout

LAYOUT = MEDIAPIPE_HOLISTIC
LEFT, RIGHT = LAYOUT.group_slices["left_hand"], LAYOUT.group_slices["right_hand"]
FACE = LAYOUT.group_slices["face"]
TINY = KeypointLayout.from_names("tiny", ["body/a", "body/b"], [])
RAW = {"center": "none", "scale": "none", "canonical_hand": False, "hand_relative": False, "presence": False}


def features(layout: KeypointLayout = LAYOUT, **choices: Any) -> KeypointFeatures:
    return KeypointFeatures(FeaturesConfig(**choices), layout)


def clip(num_frames: int = 8, seed: int = 0, gaps: bool = True) -> np.ndarray:
    """``[T, 543, 3]`` float32: a right-hander, whose right hand circles while the left one rests."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.35, 0.65, (543, 3)).astype(np.float32)
    for name, place in {
        "pose/left_shoulder": (0.62, 0.6),
        "pose/right_shoulder": (0.38, 0.61),
        "pose/left_eye": (0.53, 0.3),
        "pose/right_eye": (0.47, 0.3),
        "pose/left_wrist": (0.66, 0.95),
        "pose/right_wrist": (0.4, 0.7),
    }.items():
        points[LAYOUT.row(name), :2] = place
    for hand, side in ((LEFT, "left"), (RIGHT, "right")):
        shape = rng.normal(0, 0.03, (21, 3)).astype(np.float32)
        points[hand] = points[LAYOUT.row(f"pose/{side}_wrist")] + shape - shape[0]
    frames = np.repeat(points[None], num_frames, axis=0)
    angle = rng.uniform(0, 6) + np.linspace(0, 5, num_frames)
    circle = 0.08 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    frames[:, RIGHT] += circle[:, None]
    frames[:, LAYOUT.row("pose/right_wrist")] += circle
    frames += rng.normal(0, 0.001, frames.shape)
    if gaps:  # the resting hand is often lost, the active one once, single points now and then
        frames[rng.random(num_frames) < 0.4, LEFT] = np.nan
        frames[num_frames // 2, RIGHT] = np.nan
        frames[rng.random(frames.shape[:2]) < 0.02] = np.nan
    return frames.astype(np.float32)


def mirrored(keypoints: np.ndarray) -> np.ndarray:
    """What the same clip's picture shows in a mirror."""
    image = keypoints[..., list(LAYOUT.mirror_permutation), :].copy()
    image[..., 0] = 1 - image[..., 0]
    return image
