"""Which keypoints a clip loses: frames, hands, fingers, and whatever comes into a square of the picture."""

from functools import lru_cache

import numpy as np
import tensorflow as tf

from sign_keras.config import KeypointAugmentConfig
from sign_keras.data.keypoint_draws import NUM_FINGERS, NUM_HANDS, KeypointDraw
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import KeypointLayout

HANDS = ("left_hand", "right_hand")
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
NUM_PARTS = 1 + NUM_FINGERS + NUM_HANDS  # what is lost together: everything, each finger, each hand


def check_parts(config: KeypointAugmentConfig, layout: KeypointLayout) -> None:
    """Whether a layout names what is to be lost.

    Raises:
        UserError: fingers or hands are to be lost, and the layout names none.
    """
    parts = _parts(layout)
    for step, rows, example in (
        ("finger_dropout", parts[1 : 1 + NUM_FINGERS], "left_hand/index_tip"),
        ("hand_dropout", parts[1 + NUM_FINGERS :], "left_hand/wrist"),
    ):
        if config.steps[step].probability and not rows.any():
            groups = ", ".join(layout.group_slices)
            raise UserError(
                f"data.augment_keypoints.{step}: the records' keypoints ({layout.name}: {groups}) have no point "
                f"such as {example}; leave {step} out"
            )


def lose_points(
    keypoints: tf.Tensor,
    drawn: KeypointDraw,
    config: KeypointAugmentConfig,
    layout: KeypointLayout,
    aspect: float | tf.Tensor,
) -> tf.Tensor:
    """Makes points of ``[T, K, 3]`` missing, NaN in all coordinates; steps that are off cost nothing."""
    num_frames, num_points, _ = keypoints.shape
    flat = tf.reshape(keypoints, [num_frames, num_points * 3])
    lost = []
    if any(config.steps[name].probability for name in ("frame_dropout", "temporal_mask")) or _loses_parts(config):
        # A product instead of a gather of each point's part: a tenth of the time.
        parts = tf.cast(_lost_parts(drawn, num_frames), tf.float32)
        lost.append(tf.matmul(parts, np.repeat(_parts(layout), 3, axis=1)) > 0)
    if config.spatial_mask.probability:
        lost.append(_in_square(flat, drawn, aspect))
    if not lost:
        return keypoints
    flat = tf.where(lost[0] if len(lost) == 1 else lost[0] | lost[1], np.float32(np.nan), flat)
    return tf.reshape(flat, [num_frames, num_points, 3])


def _loses_parts(config: KeypointAugmentConfig) -> bool:
    return bool(config.finger_dropout.probability or config.hand_dropout.probability)


def _lost_parts(drawn: KeypointDraw, num_frames: int) -> tf.Tensor:
    """``[T, NUM_PARTS]`` bool."""
    frames = tf.range(num_frames, dtype=tf.float32)[:, tf.newaxis]
    everything, fingers, hands = tf.split((frames >= drawn.spans[0]) & (frames < drawn.spans[1]), 3, axis=1)
    return tf.concat(
        [everything | drawn.frames[:, tf.newaxis], fingers & drawn.fingers, hands & drawn.hands], axis=1
    )


@lru_cache(maxsize=8)
def _parts(layout: KeypointLayout) -> np.ndarray:
    """``[NUM_PARTS, K]`` float32: 1 where a point belongs to a part."""
    parts = np.zeros((NUM_PARTS, len(layout.names)), np.float32)
    parts[0] = 1
    for row, name in enumerate(layout.names):
        group, _, point = name.partition("/")
        if group not in HANDS:
            continue
        hand = HANDS.index(group)
        parts[1 + NUM_FINGERS + hand, row] = 1
        finger = point.split("_")[0]
        if finger in FINGERS:
            parts[1 + hand * len(FINGERS) + FINGERS.index(finger), row] = 1
    return parts


def _in_square(flat: tf.Tensor, drawn: KeypointDraw, aspect: float | tf.Tensor) -> tf.Tensor:
    """``[T, K * 3]`` bool: coordinates of points in the square; the square lies wholly in the picture."""
    side, place_x, place_y = tf.unstack(drawn.square)
    width, height = side * tf.minimum(1.0, 1 / aspect), side * tf.minimum(1.0, aspect)
    # Depth is no coordinate of the picture: its range has no ends.
    middle = tf.stack([width / 2 + place_x * (1 - width), height / 2 + place_y * (1 - height), 0.0])
    reach = tf.stack([width / 2, height / 2, np.inf])
    num_points = flat.shape[1] // 3
    inside = tf.abs(flat - tf.tile(middle, [num_points])) < tf.tile(reach, [num_points])
    # A point is inside where all its coordinates are.
    count = tf.matmul(tf.reshape(tf.cast(inside, tf.float32), [-1, 3]), np.ones((3, 3), np.float32))
    return tf.reshape(count > 2.5, [-1, num_points * 3])
