"""Augmentation of frames: pure functions of a clip and one draw, the same for all of them.

Time is never reversed. What is drawn, and from what, is in ``draws``; keypoints are in ``keypoint_transforms``.
"""

import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.blur import blur
from sign_keras.data.colour import changes_colour, recolour
from sign_keras.data.draws import PictureDraw


def augment_frames(
    frames: tf.Tensor, drawn: PictureDraw, config: AugmentConfig, height: int, width: int
) -> tf.Tensor:
    """Applies one draw to frames that were already cut to its window.

    Args:
        frames: ``[T, h, w, 3]`` uint8, T statically known.
        drawn: for all of them.
        config: what was drawn from; steps that it turns off cost nothing.
        height: of the result, in pixels.
        width: likewise.

    Returns:
        ``[T, height, width, 3]`` uint8.
    """
    warped = _warp(frames, drawn, height, width)
    if config.blur:
        warped = blur(warped, drawn.blur, config.blur)
    warped = tf.transpose(tf.reshape(warped, [height, width, -1, 3]), [2, 0, 1, 3])
    if changes_colour(config):
        warped = recolour(warped, drawn, config)
    return tf.saturate_cast(tf.round(warped), tf.uint8)


def _warp(frames: tf.Tensor, drawn: PictureDraw, height: int, width: int) -> tf.Tensor:
    """Resize, rotation about the middle and mirroring in one bilinear interpolation.

    Returns ``[height, width, T * 3]`` float32: all frames side by side in the channels.

    ``tf.raw_ops.ImageProjectiveTransformV3`` works out the same place anew for every channel of every frame; here
    each output pixel fetches its four neighbours in all frames at once, in a third of the time.
    """
    num_frames, (source_height, source_width) = frames.shape[0], tf.unstack(tf.shape(frames)[1:3])
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
    return tf.reshape(upper + (lower - upper) * y_share, [height, width, num_frames * 3])


def _source_places(
    drawn: PictureDraw, height: int, width: int, source_height: tf.Tensor, source_width: tf.Tensor
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
