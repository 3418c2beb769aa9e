"""Augmentation of keypoints: pure functions of a clip and one draw, the same for all its frames.

Keypoints are ``[T, K, 3]`` float32, x and y in frame widths and heights, NaN in all three where a point is missing.
"""

from collections.abc import Collection
from functools import lru_cache

import numpy as np
import tensorflow as tf

from sign_keras.config import KeypointAugmentConfig
from sign_keras.data.draws import PictureDraw
from sign_keras.data.keypoint_draws import KeypointDraw
from sign_keras.data.keypoint_geometry import affine, mirror, move, with_the_picture
from sign_keras.data.keypoint_masks import check_parts, lose_points
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import KeypointLayout

NUM_KNOTS = 4  # drawn places of a drift, at equal distances in time, the first and the last frame among them
NUM_NOISE_PLACES = 2**17


def check_keypoint_augmentation(
    config: KeypointAugmentConfig, input_names: Collection[str], layout: KeypointLayout | None
) -> None:
    """Whether what is asked for can be done.

    Raises:
        UserError: the model takes no keypoints, or pictures beside them that would not move with them, or their
            layout does not name what is to be lost.
    """
    if not config.is_on:
        return
    if "keypoints" not in input_names or layout is None:
        raise UserError("data.augment_keypoints: the model takes no keypoints; leave data.augment_keypoints out")
    if config.affine.probability and "frames" in input_names:
        raise UserError(
            "data.augment_keypoints.affine: moves keypoints alone, but the model takes their pictures too; use "
            "zoom, aspect and rotation of data.augment, which move both"
        )
    check_parts(config, layout)


def augment_keypoints(
    keypoints: tf.Tensor,
    layout: KeypointLayout,
    aspect: float | tf.Tensor,
    *,
    picture: PictureDraw | None = None,
    own: KeypointDraw | None = None,
    config: KeypointAugmentConfig | None = None,
    may_mirror: bool = True,
) -> tf.Tensor:
    """Moves keypoints with the picture, and then changes them by themselves.

    Args:
        keypoints: ``[T, K, 3]``, T statically known.
        layout: of the K points.
        aspect: the picture's width over its height in pixels.
        picture: what happens to the picture, for all frames or for each; None: nothing.
        own: what happens to keypoints alone; None: nothing.
        config: what ``own`` was drawn from; steps that it turns off cost nothing.
        may_mirror: false where ``picture`` never is mirrored, which then costs nothing.
    """
    moves = [] if picture is None else [with_the_picture(picture, aspect)]
    if own is not None and config is not None and config.affine.probability:
        moves.append(affine(own, aspect))
    if moves:
        keypoints = move(keypoints, moves[0] if len(moves) == 1 else moves[0].then(moves[1]))
    if picture is not None and may_mirror:
        keypoints = mirror(keypoints, picture.mirrored, layout)
    if own is None or config is None:
        return keypoints
    if config.noise.probability:
        keypoints = add_noise(keypoints, own, aspect)
    return lose_points(keypoints, own, config, layout, aspect)


def add_noise(keypoints: tf.Tensor, drawn: KeypointDraw, aspect: float | tf.Tensor) -> tf.Tensor:
    """Adds ``drawn.deviation`` of noise to every point in every frame, and ``drawn.drift`` that changes slowly.

    The numbers come from a table of Gaussian ones, beginning at a place that is drawn for the clip: to draw 50,000
    of them for every clip takes ten times as long. Both are isotropic in pixels.
    """
    num_frames, num_points, _ = keypoints.shape
    width = num_points * 3
    table = _gaussians(max(num_frames, NUM_KNOTS) * width + NUM_NOISE_PLACES)

    def numbers(place: tf.Tensor, rows: int) -> tf.Tensor:
        start = tf.cast(place * NUM_NOISE_PLACES, tf.int32)
        return tf.reshape(tf.slice(table, [start], [rows * width]), [rows, width])

    frame_widths = tf.tile(tf.stack([1.0, aspect, 1.0]), [num_points])
    knots = numbers(drawn.drift_place, NUM_KNOTS) * (drawn.drift * frame_widths)
    noise = numbers(drawn.noise_place, num_frames) * (drawn.deviation * frame_widths)
    noisy = tf.reshape(keypoints, [num_frames, width]) + noise + tf.matmul(_between_knots(num_frames), knots)
    return tf.reshape(noisy, [num_frames, num_points, 3])


@lru_cache(maxsize=4)
def _gaussians(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count, np.float32)


def _between_knots(num_frames: int) -> np.ndarray:
    """``[T, NUM_KNOTS]`` float32: each frame's shares of the knots beside it, by a half cosine.

    Their squares sum to 1, so that a drift is as far between the knots as at them.
    """
    places = np.linspace(0, NUM_KNOTS - 1, num_frames)
    distance = np.minimum(np.abs(places[:, np.newaxis] - np.arange(NUM_KNOTS)), 1)
    return np.cos(distance * np.pi / 2).astype(np.float32)


def between_frames(keypoints: tf.Tensor, indices: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Keypoints at moments, linearly between the two frames whose middles are next to each.

    A point that one of the two lacks is that of the frame on screen: interpolation neither loses nor finds points.

    Args:
        keypoints: ``[N, K, 3]`` of all frames of a clip.
        indices: ``[T]`` int32: the frames on screen.
        shares: ``[T]`` in [0, 1): how much of its time on screen each has had.

    Returns:
        ``[T, K, 3]``.
    """
    width = keypoints.shape[1] * 3
    frames = tf.reshape(keypoints, [-1, width])
    from_middle = shares - 0.5
    beside = tf.clip_by_value(indices + tf.cast(tf.sign(from_middle), tf.int32), 0, tf.shape(frames)[0] - 1)
    here, there = tf.gather(frames, indices), tf.gather(frames, beside)
    between = here + (there - here) * tf.abs(from_middle)[:, tf.newaxis]
    return tf.reshape(tf.where(tf.math.is_nan(between), here, between), [-1, *keypoints.shape[1:]])
