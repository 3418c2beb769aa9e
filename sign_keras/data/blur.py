"""Gaussian blur of a whole clip."""

import math

import tensorflow as tf

REACH = 3  # standard deviations; 0.3 % of a Gaussian lie beyond


def blur(pictures: tf.Tensor, deviation: tf.Tensor, most: float) -> tf.Tensor:
    """Blurs pictures, mirrored at their edges, first along columns, then along rows.

    One convolution for all frames: as channels of one picture they cost half of what they cost as a batch.

    Args:
        pictures: ``[H, W, C]`` float32, C statically known; a clip's frames side by side in the channels.
        deviation: scalar, in pixels; 0 changes nothing.
        most: the largest deviation there can be, which fixes the kernel's size.

    Returns:
        ``[H, W, C]`` float32.
    """
    reach = math.ceil(REACH * most)
    places = tf.range(-reach, reach + 1, dtype=tf.float32)
    weights = tf.exp(-tf.square(places / tf.maximum(deviation, 1e-3)) / 2)
    kernel = tf.tile((weights / tf.reduce_sum(weights))[:, tf.newaxis], [1, pictures.shape[-1]])
    padded = tf.pad(pictures, [[reach, reach], [reach, reach], [0, 0]], "SYMMETRIC")[tf.newaxis]
    columns = tf.nn.depthwise_conv2d(padded, kernel[:, tf.newaxis, :, tf.newaxis], [1, 1, 1, 1], "VALID")
    return tf.nn.depthwise_conv2d(columns, kernel[tf.newaxis, :, :, tf.newaxis], [1, 1, 1, 1], "VALID")[0]
