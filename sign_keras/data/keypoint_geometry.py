"""Where keypoints go: with the picture when it is cut, turned and mirrored, and by themselves."""

from typing import Any, NamedTuple

import tensorflow as tf

from sign_keras.data.draws import PictureDraw
from sign_keras.data.keypoint_draws import KeypointDraw
from tfrecords_tools.keypoint_layout import KeypointLayout

Number = Any  # a float, or a tensor


class Move(NamedTuple):
    """An affine map of points: ``point @ matrix + shift``, in frame widths, frame heights and depth.

    Attributes:
        matrix: ``[..., 3, 3]``, the leading axis being frames where each has its own.
        shift: ``[..., 3]``.
    """

    matrix: tf.Tensor
    shift: tf.Tensor

    def then(self, other: "Move") -> "Move":
        """This, and then the other, for all frames alike."""
        shift = tf.linalg.matvec(other.matrix, self.shift, transpose_a=True)
        return Move(tf.matmul(self.matrix, other.matrix), shift + other.shift)


def move(keypoints: tf.Tensor, by: Move) -> tf.Tensor:
    """Moves ``[T, K, 3]``; a missing point, NaN in all three coordinates, stays missing."""
    num_frames, num_points, _ = keypoints.shape
    # One product of a flat matrix, and the sum over [T, K * 3]: short inner axes are slow in TensorFlow.
    if by.matrix.shape.rank == 2:
        moved = tf.matmul(tf.reshape(keypoints, [-1, 3]), by.matrix)
    else:
        moved = tf.matmul(keypoints, by.matrix)
    shift = tf.tile(by.shift, [1] * (by.shift.shape.rank - 1) + [num_points])
    return tf.reshape(tf.reshape(moved, [-1, num_points * 3]) + shift, [num_frames, num_points, 3])


def with_the_picture(drawn: PictureDraw, aspect: Number) -> Move:
    """What ``augment_frames`` does to the picture, but for the exchange of left and right points (``mirror``).

    Args:
        drawn: for all frames, or for each of them.
        aspect: width over height in pixels of the picture that the window is cut from: turns are turns in pixels.
    """
    top, left, height, width = tf.unstack(drawn.window, axis=-1)
    aspect = aspect * (width / height)
    flip = tf.where(drawn.mirrored, -1.0, 1.0)
    # The inverse of the picture's warp, which says where each output pixel comes from.
    cosine, sine = tf.cos(drawn.angle), tf.sin(drawn.angle)
    linear = (
        (flip * cosine / width, -sine * aspect / width),
        (flip * sine / (aspect * height), cosine / height),
    )
    return _about((left + width / 2, top + height / 2), (0.5, 0.5), linear, depth=tf.ones_like(flip))


def affine(drawn: KeypointDraw, aspect: Number) -> Move:
    """Resized, slanted, turned about the picture's middle, and shifted."""
    shear_x, shear_y = tf.unstack(drawn.shear)
    shift_x, shift_y = tf.unstack(drawn.shift)
    cosine, sine = drawn.scale * tf.cos(drawn.angle), drawn.scale * tf.sin(drawn.angle)
    linear = (
        (cosine + shear_y * sine, (shear_y * cosine - sine) * aspect),
        ((shear_x * cosine + sine) / aspect, cosine - shear_x * sine),
    )
    return _about((0.5, 0.5), (0.5 + shift_x, 0.5 + shift_y), linear, depth=drawn.scale)


def _about(
    centre: tuple[Number, Number],
    target: tuple[Number, Number],
    linear: tuple[tuple[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    depth: tf.Tensor,
) -> Move:
    """The map that is ``linear`` in x and y, scales depth, and takes ``centre`` to ``target``."""
    nothing = tf.zeros_like(depth)
    (x_to_x, x_to_y), (y_to_x, y_to_y) = linear
    x = target[0] - centre[0] * x_to_x - centre[1] * y_to_x
    y = target[1] - centre[0] * x_to_y - centre[1] * y_to_y
    rows = [x_to_x, x_to_y, nothing, y_to_x, y_to_y, nothing, nothing, nothing, depth]
    matrix = tf.stack(rows, axis=-1)
    return Move(tf.reshape(matrix, [*depth.shape, 3, 3]), tf.stack([x, y, nothing], axis=-1))


def mirror(keypoints: tf.Tensor, mirrored: tf.Tensor, layout: KeypointLayout) -> tf.Tensor:
    """Exchanges left and right points of ``[T, K, 3]`` where ``mirrored``, a scalar or ``[T]``."""

    def exchanged() -> tf.Tensor:
        return tf.gather(keypoints, layout.mirror_permutation, axis=1)

    if mirrored.shape.rank:
        return tf.where(mirrored[:, tf.newaxis, tf.newaxis], exchanged(), keypoints)
    return tf.cond(mirrored, exchanged, lambda: keypoints)
