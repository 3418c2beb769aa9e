"""What is drawn for one clip's keypoints alone, out of uniform numbers that ``draws`` hands in."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from sign_keras.config import KeypointAugmentConfig
from sign_keras.config.keypoint_augment import Shares

NUM_HANDS, NUM_FINGERS = 2, 10
# The order of the random numbers: one for each step's probability, these steps' ranges (``_ranges``), the fingers,
# the frames. A new step's come after all of them, so that a seed goes on giving what it gave.
STEPS = (
    "affine",
    "noise",
    "spatial_mask",
    "finger_dropout",
    "hand_dropout",
    "frame_dropout",
    "temporal_mask",
)
NUM_RANGES = 20
NUM_OF_CLIP = len(STEPS) + NUM_RANGES + NUM_FINGERS
# Steps that take a span of frames, as the columns of ``KeypointDraw.spans``.
SPANS = ("temporal_mask", "finger_dropout", "hand_dropout")


class KeypointDraw(NamedTuple):
    """One clip's changes; float32 scalars unless stated. What a step was not drawn for leaves a clip as it is.

    Attributes:
        scale: factor.
        shear: ``[2]``: how far x moves with y, and y with x, in pixels a pixel.
        shift: ``[2]`` in frame widths and heights.
        angle: radians, counter-clockwise.
        deviation: of Gaussian noise, in frame widths.
        drift: of slow noise, in frame widths.
        noise_place: in [0, 1), where in their table the noise's numbers begin.
        drift_place: likewise the drift's.
        square: ``[3]``: its side as a share of the picture's shorter side, 0 for none, and its place from left to
            right and from top to bottom, in [0, 1].
        fingers: ``[10]`` bool: which may be lost, thumb to little finger, left hand first.
        hands: ``[2]`` bool: which may be lost, left and right.
        spans: ``[2, 3]`` first frame, and the one after the last, of what each of ``SPANS`` takes.
        frames: ``[T]`` bool: frames without any point.
    """

    scale: tf.Tensor
    shear: tf.Tensor
    shift: tf.Tensor
    angle: tf.Tensor
    deviation: tf.Tensor
    drift: tf.Tensor
    noise_place: tf.Tensor
    drift_place: tf.Tensor
    square: tf.Tensor
    fingers: tf.Tensor
    hands: tf.Tensor
    spans: tf.Tensor
    frames: tf.Tensor


def draw_keypoints(config: KeypointAugmentConfig, num_frames: int, uniforms: tf.Tensor) -> KeypointDraw:
    """Draws one clip's changes.

    Args:
        config: probabilities and ranges.
        num_frames: ``T``.
        uniforms: ``[NUM_OF_CLIP + T]`` float32 in [0, 1).
    """
    chances, ranged, fingers, frames = tf.split(uniforms, [len(STEPS), NUM_RANGES, NUM_FINGERS, num_frames])
    probabilities = np.array([config.steps[name].probability for name in STEPS], np.float32)
    happens = dict(zip(STEPS, tf.unstack(tf.cast(chances < probabilities, tf.float32)), strict=True))
    ranges = _ranges(config)
    low, high = np.array(list(ranges.values()), np.float32).T
    # All at once: a graph of a hundred scalars costs more than the arithmetic on the points.
    drawn = dict(zip(ranges, tf.unstack(low + (high - low) * ranged), strict=True))
    along_x = tf.cast(drawn["shear_axis"] < 0.5, tf.float32)
    moved = happens["affine"]
    return KeypointDraw(
        scale=1 + moved * drawn["scale"],
        shear=moved * drawn["shear"] * tf.stack([along_x, 1 - along_x]),
        shift=moved * tf.stack([drawn["shift_x"], drawn["shift_y"]]),
        angle=moved * drawn["angle"],
        deviation=happens["noise"] * drawn["deviation"],
        drift=happens["noise"] * drawn["drift"],
        noise_place=drawn["noise_place"],
        drift_place=drawn["drift_place"],
        square=tf.stack([happens["spatial_mask"] * drawn["side"], drawn["side_x"], drawn["side_y"]]),
        fingers=fingers < config.finger_dropout.rate,
        hands=tf.stack([drawn["hand"] < 0.5, drawn["hand"] >= 0.5]),
        spans=_spans(
            tf.stack([happens[name] for name in SPANS]),
            tf.stack([drawn[f"{name}_length"] for name in SPANS]),
            tf.stack([drawn[f"{name}_place"] for name in SPANS]),
            num_frames,
        ),
        frames=frames < happens["frame_dropout"] * config.frame_dropout.rate,
    )


def _ranges(config: KeypointAugmentConfig) -> dict[str, Shares]:
    """What is drawn evenly from where to where, in the order of its random numbers."""
    angle = math.radians(config.affine.rotation)
    whole = (0.0, 1.0)
    return {
        "scale": _around_zero(config.affine.scale),
        "shear": _around_zero(config.affine.shear),
        "shear_axis": whole,
        "shift_x": _around_zero(config.affine.shift),
        "shift_y": _around_zero(config.affine.shift),
        "angle": _around_zero(angle),
        "deviation": (0.0, config.noise.deviation),
        "drift": (0.0, config.noise.drift),
        "noise_place": whole,
        "drift_place": whole,
        "side": config.spatial_mask.side,
        "side_x": whole,
        "side_y": whole,
        "hand": whole,
        "temporal_mask_length": config.temporal_mask.length,
        "temporal_mask_place": whole,
        "finger_dropout_length": config.finger_dropout.length,
        "finger_dropout_place": whole,
        "hand_dropout_length": config.hand_dropout.length,
        "hand_dropout_place": whole,
    }


def _around_zero(most: float) -> tuple[float, float]:
    return (-most, most)


def _spans(happens: tf.Tensor, lengths: tf.Tensor, places: tf.Tensor, num_frames: int) -> tf.Tensor:
    """``[2, N]`` spans of whole frames, at least one long where they happen, each place as likely."""
    lengths = happens * tf.maximum(tf.round(lengths * num_frames), 1.0)
    starts = tf.floor(places * (num_frames - lengths + 1))
    return tf.stack([starts, starts + lengths])
