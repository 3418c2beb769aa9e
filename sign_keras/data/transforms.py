"""Augmentation: pure functions of a clip and one draw, the same for all its frames and keypoints.

Time is never reversed. All randomness comes from the seed handed in, so a clip's augmentation depends on
(experiment, epoch, place in the epoch) and on nothing else: not on threads, not on a restart.
"""

from typing import NamedTuple

import tensorflow as tf

from sign_keras.config import AugmentConfig
from tfrecords_tools.keypoint_layout import KeypointLayout

# Weights of R, G, B in perceived brightness; ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


class Draw(NamedTuple):
    """One clip's augmentation; scalars unless stated.

    Attributes:
        offsets: ``[T]`` in [0, 1): where in its part of the clip each frame is taken.
        window: ``[4]`` top, left, height, width, as shares of the frame.
        angle: radians, counter-clockwise.
        mirrored: bool.
        brightness: added, in units of the full range.
        contrast: factor around the clip's mean.
        saturation: factor around grey.
    """

    offsets: tf.Tensor
    window: tf.Tensor
    angle: tf.Tensor
    mirrored: tf.Tensor
    brightness: tf.Tensor
    contrast: tf.Tensor
    saturation: tf.Tensor


def draw(config: AugmentConfig, num_frames: int, seed: tf.Tensor) -> Draw:
    """Draws one clip's augmentation.

    Args:
        config: ranges.
        num_frames: ``T``.
        seed: ``[2]`` int64.
    """
    uniform = tf.random.stateless_uniform([8 + num_frames], seed)
    jitter = 0.5 + config.temporal_jitter * (uniform[8:] - 0.5)
    side = 1 - config.zoom * uniform[0]
    around_zero = 2 * uniform - 1
    return Draw(
        offsets=jitter,
        window=tf.stack([(1 - side) * uniform[1], (1 - side) * uniform[2], side, side]),
        angle=around_zero[3] * (config.rotation * 3.14159265 / 180),
        mirrored=uniform[4] < config.mirror,
        brightness=around_zero[5] * config.brightness,
        contrast=1 + around_zero[6] * config.contrast,
        saturation=1 + around_zero[7] * config.saturation,
    )


def augment_frames(frames: tf.Tensor, drawn: Draw, config: AugmentConfig, height: int, width: int) -> tf.Tensor:
    """Applies a draw to frames that were already cut to its window.

    Args:
        frames: ``[T, h, w, 3]`` uint8, T statically known.
        drawn: from ``draw``.
        config: what was drawn from; steps that it turns off cost nothing.
        height: of the result, in pixels.
        width: likewise.

    Returns:
        ``[T, height, width, 3]`` uint8.
    """
    warped = _warp(frames, drawn, height, width)
    if config.brightness or config.contrast or config.saturation:
        warped = _recolour(warped, drawn)
    return tf.saturate_cast(tf.round(warped), tf.uint8)


def _warp(frames: tf.Tensor, drawn: Draw, height: int, width: int) -> tf.Tensor:
    """Resize, rotation about the middle and mirroring in one bilinear interpolation, to float32.

    ``tf.raw_ops.ImageProjectiveTransformV3`` works out the same place anew for every channel of every frame; here
    each output pixel fetches its four neighbours in all frames at once, in a third of the time.
    """
    num_frames, source_height, source_width = tf.unstack(tf.shape(frames)[:3])
    y, x = _source_places(drawn, height, width, source_height, source_width)
    top, left = tf.floor(y), tf.floor(x)
    y_share, x_share = (y - top)[:, tf.newaxis], (x - left)[:, tf.newaxis]
    top, left = tf.cast(top, tf.int32), tf.cast(left, tf.int32)
    bottom, right = tf.minimum(top + 1, source_height - 1), tf.minimum(left + 1, source_width - 1)
    # Not tf.transpose: the graph optimiser would transpose before the cast, and oneDNN warns of uint8.
    pixels = tf.stack(tf.unstack(tf.cast(frames, tf.float32)), axis=2)
    pixels = tf.reshape(pixels, [-1, num_frames * 3])  # [h * w, T * 3]

    def row(line: tf.Tensor) -> tf.Tensor:
        start, end = tf.gather(pixels, line * source_width + left), tf.gather(pixels, line * source_width + right)
        return start + (end - start) * x_share

    upper, lower = row(top), row(bottom)
    warped = tf.reshape(upper + (lower - upper) * y_share, [height, width, num_frames, 3])
    return tf.transpose(warped, [2, 0, 1, 3])


def _source_places(
    drawn: Draw, height: int, width: int, source_height: tf.Tensor, source_width: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """``[height * width]`` float32 y and x in the source of each output pixel; beyond its edge, the edge."""
    last_y, last_x = tf.cast(source_height, tf.float32) - 1, tf.cast(source_width, tf.float32) - 1
    # Output pixel -> centred, scaled to source pixels, rotated -> source pixel. Pixel centres are at halves.
    x_scale = (last_x + 1) / width * tf.where(drawn.mirrored, -1.0, 1.0)
    x = (tf.range(width, dtype=tf.float32) - (width - 1) / 2)[tf.newaxis] * x_scale
    y = (tf.range(height, dtype=tf.float32) - (height - 1) / 2)[:, tf.newaxis] * ((last_y + 1) / height)
    cosine, sine = tf.cos(drawn.angle), tf.sin(drawn.angle)
    source_y, source_x = sine * x + cosine * y + last_y / 2, cosine * x - sine * y + last_x / 2
    return (
        tf.reshape(tf.clip_by_value(source_y, 0.0, last_y), [-1]),
        tf.reshape(tf.clip_by_value(source_x, 0.0, last_x), [-1]),
    )


def _recolour(frames: tf.Tensor, drawn: Draw) -> tf.Tensor:
    """Saturation, contrast about the mean and brightness: all linear, so one matrix for the clip.

    One draw for the clip, and the clip's own mean: a per-frame mean would flicker with the movement.
    """
    pixels = tf.reshape(frames, [-1, 3])
    to_grey = tf.tile(tf.constant(LUMA)[:, tf.newaxis], [1, 3])  # pixels @ to_grey: each pixel's grey, thrice
    saturate = drawn.saturation * tf.eye(3) + (1 - drawn.saturation) * to_grey
    mean = tf.reduce_mean(tf.linalg.matvec(saturate, tf.reduce_mean(pixels, axis=0), transpose_a=True))
    shift = (1 - drawn.contrast) * mean + drawn.brightness * 255.0
    return tf.reshape(pixels @ (saturate * drawn.contrast) + shift, tf.shape(frames))


def augment_keypoints(keypoints: tf.Tensor, drawn: Draw, layout: KeypointLayout, aspect: float) -> tf.Tensor:
    """Applies a draw's geometry to keypoints, as ``augment_frames`` does to the picture.

    Args:
        keypoints: ``[T, K, C]`` float32, x and y first, in units of the picture that the window is cut from;
            NaN stays NaN.
        drawn: from ``draw``.
        layout: which rows change places when mirrored.
        aspect: the window's width over its height in pixels: rotation is a rotation in pixels.
    """
    top, left, height, width = tf.unstack(drawn.window)
    x = ((keypoints[..., 0] - left) / width - 0.5) * aspect
    y = (keypoints[..., 1] - top) / height - 0.5
    # The inverse of the picture's warp, which says where each output pixel comes from.
    cosine, sine = tf.cos(drawn.angle), tf.sin(drawn.angle)
    x, y = cosine * x + sine * y, -sine * x + cosine * y
    x = tf.where(drawn.mirrored, -x, x) / aspect
    moved = tf.concat([tf.stack([x + 0.5, y + 0.5], axis=-1), keypoints[..., 2:]], axis=-1)
    swapped = tf.gather(moved, layout.mirror_permutation, axis=1)
    return tf.where(drawn.mirrored, swapped, moved)
