"""Colour changes of a clip, all of them linear, so that one 3 x 3 matrix and one shift do them together."""

import numpy as np
import tensorflow as tf

from sign_keras.config import AugmentConfig
from sign_keras.data.draws import PictureDraw

# Weights of R, G, B in perceived brightness; ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)
# R, G, B to luma and the two axes of colour, as columns; NTSC 1953, the numbers of ``tf.image.rgb_to_yiq``.
TO_YIQ = np.array([LUMA, (0.59590059, -0.27455667, -0.32134392), (0.21153661, -0.52273617, 0.31119955)]).T
FROM_YIQ = np.linalg.inv(TO_YIQ)


def changes_colour(config: AugmentConfig) -> bool:
    """Whether ``recolour`` has anything to do."""
    return any((config.brightness, config.contrast, config.saturation, config.hue))


def recolour(frames: tf.Tensor, drawn: PictureDraw, config: AugmentConfig) -> tf.Tensor:
    """Hue, saturation, contrast about the mean and brightness, in this order.

    One draw for the clip, and the clip's own mean: a per-frame mean would flicker with the movement.

    Args:
        frames: ``[T, H, W, 3]`` float32 in [0, 255].
        drawn: for the clip.
        config: what was drawn from.

    Returns:
        The same, beyond the range where colours go there.
    """
    pixels = tf.reshape(frames, [-1, 3])
    to_grey = tf.tile(tf.constant(LUMA)[:, tf.newaxis], [1, 3])  # pixels @ to_grey: each pixel's grey, thrice
    colours = drawn.saturation * tf.eye(3) + (1 - drawn.saturation) * to_grey
    if config.hue:
        colours = _turn(drawn.hue) @ colours
    mean = tf.reduce_mean(tf.linalg.matvec(colours, tf.reduce_mean(pixels, axis=0), transpose_a=True))
    shift = (1 - drawn.contrast) * mean + drawn.brightness * 255.0
    return tf.reshape(pixels @ (colours * drawn.contrast) + shift, tf.shape(frames))


def _turn(angle: tf.Tensor) -> tf.Tensor:
    """``[3, 3]``: turns the colours of pixels, as rows, about the grey axis; luma stays.

    Source: the YIQ rotation of TensorFlow Addons' ``adjust_hsv_in_yiq``. Unlike a shift in HSV it is linear.
    """
    cosine, sine = tf.cos(angle), tf.sin(angle)
    rotation = tf.stack([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    return tf.constant(TO_YIQ, tf.float32) @ rotation @ tf.constant(FROM_YIQ, tf.float32)
