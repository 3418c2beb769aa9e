"""The joints of both hands, as a target: where they are is what every sign is made of."""

from typing import Any

import keras

NUM_JOINTS = 42


def seen_joints_error(joints: Any, predicted: Any) -> Any:
    """Mean absolute error of the joints within the picture, in its widths and heights.

    Args:
        joints: ``[B, ..., 42, 2]``, the truth; those outside 0..1 do not count.
        predicted: likewise.

    Returns:
        ``[B]``; 0 where no joint is in view.
    """
    seen = keras.ops.all((joints > 0) & (joints < 1), axis=-1, keepdims=True)
    seen = keras.ops.cast(seen, predicted.dtype)
    axes = tuple(range(1, len(joints.shape)))
    errors = keras.ops.sum(keras.ops.abs(joints - predicted) * seen, axis=axes)
    return errors / keras.ops.maximum(2 * keras.ops.sum(seen, axis=axes), 1.0)
