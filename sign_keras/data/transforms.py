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
        frames: ``[T, h, w, 3]`` uint8.
        drawn: from ``draw``.
        config: what was drawn from; steps that it turns off cost nothing.
        height: of the result, in pixels.
        width: likewise.

    Returns:
        ``[T, height, width, 3]`` uint8.
    """
    frames = _warp(frames, drawn, height, width)
    if config.brightness or config.contrast or config.saturation:
        frames = _recolour(tf.cast(frames, tf.float32), drawn, config)
        frames = tf.saturate_cast(tf.round(frames), tf.uint8)
    return frames


def _warp(frames: tf.Tensor, drawn: Draw, height: int, width: int) -> tf.Tensor:
    """Resize, rotation about the middle and mirroring in one interpolation."""
    shape = tf.cast(tf.shape(frames), tf.float32)
    source_height, source_width = shape[1], shape[2]
    x_scale = source_width / width * tf.where(drawn.mirrored, -1.0, 1.0)
    y_scale = source_height / height
    cosine, sine = tf.cos(drawn.angle), tf.sin(drawn.angle)
    # Output pixel -> centred, scaled to source pixels, rotated -> source pixel. Pixel centres are at halves.
    a, b = cosine * x_scale, -sine * y_scale
    c, d = sine * x_scale, cosine * y_scale
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    e = (source_width - 1) / 2 - a * centre_x - b * centre_y
    f = (source_height - 1) / 2 - c * centre_x - d * centre_y
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=frames,
        transforms=tf.stack([a, b, e, c, d, f, 0.0, 0.0])[tf.newaxis],
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _recolour(frames: tf.Tensor, drawn: Draw, config: AugmentConfig) -> tf.Tensor:
    # One draw for the clip, and the clip's own mean: a per-frame mean would flicker with the movement.
    if config.saturation:
        grey = tf.tensordot(frames, tf.constant(LUMA), axes=1)[..., tf.newaxis]
        frames = grey + (frames - grey) * drawn.saturation
    mean = tf.reduce_mean(frames)
    return mean + (frames - mean) * drawn.contrast + drawn.brightness * 255.0


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
