"""What a hand looks like, wherever it is: its points from its wrist, in its own size, and its fingers' angles.

Hands are tracks ``[B, T, h, 21, C + 1]`` in MediaPipe's order of points (see ``HAND_POINTS``): coordinates, zeros
where unknown, and whether they are known.
"""

from typing import Any

import numpy as np
from keras import ops

from sign_keras.models.features.reference import SMALLEST, length
from tfrecords_tools.keypoint_layout import HAND_POINTS

NUM_HAND_POINTS = len(HAND_POINTS)
PALM = tuple(HAND_POINTS.index(point) for point in ("wrist", "index_mcp", "pinky_mcp"))
# Each finger is four points in a row, from the wrist; between its four bones are three joints.
_JOINTS = np.array([point for point in range(1, NUM_HAND_POINTS) if point % 4])
_PARENTS = np.array([point - 1 if point % 4 != 1 else 0 for point in range(1, NUM_HAND_POINTS)])
NUM_ANGLES = len(_JOINTS)


def palm_sums(palms: Any) -> Any:
    """Per frame and hand: the mean side of the palm's triangle, and whether it is known.

    The triangle of wrist and the first joints of index and little finger has a long side however a hand is turned;
    a single bone that points at the camera has no length.

    Args:
        palms: tracks ``[B, T, h, 3, C + 1]`` of ``PALM``.

    Returns:
        ``[B, T, 2 h]``.
    """
    sides = length((palms - ops.take(palms, np.array([1, 2, 0]), axis=3))[..., :-1])
    known = ops.min(palms[..., -1], axis=-1)
    return ops.concatenate([ops.mean(sides, axis=-1) * known, known], axis=-1)


def one_over_size(totals: Any) -> Any:
    """``[B, t, h]``: 1 by each hand's mean size, of ``palm_sums`` summed over frames; 0 where that is not known."""
    sizes, frames = ops.split(totals, 2, axis=-1)
    large_enough = sizes > SMALLEST * ops.maximum(frames, 1.0)
    return ops.where(large_enough, frames / ops.maximum(sizes, SMALLEST), 0.0)


def from_wrist(hands: Any, unit: Any) -> Any:
    """``[B, T, h, 21, C]``: places of a hand's points seen from its wrist; zeros where either is unknown.

    Args:
        hands: see the module.
        unit: ``[B, t, h, 1, C]``, what to multiply by.
    """
    seen = hands - hands[..., :1, :]
    known = hands[..., -1:] * hands[..., :1, -1:]
    return seen[..., :-1] * (known * unit)


def joint_cosines(hands: Any, unit: Any) -> Any:
    """``[B, T, h, 15]``: cosines of the angles at the fingers' joints, from -1 (straight) to 1 (folded flat).

    The angle is that between the bones to the point before and to the point after, in as many dimensions as
    coordinates have. 0 where a point is unknown or a bone has no length.

    Args:
        hands: see the module.
        unit: ``[B, t, 1, 1, C]``, what makes x, y (and z) alike; None where they are.
    """
    bones = (hands[..., 1:, :] - ops.take(hands, _PARENTS, axis=3))[..., :-1]
    if unit is not None:
        bones = bones * unit
    lengths, known = length(bones), hands[..., -1]
    before, after = _JOINTS - 1, _JOINTS  # bone n ends at point n + 1
    dots = ops.sum(ops.take(bones, before, axis=3) * ops.take(bones, after, axis=3), axis=-1)
    products = ops.take(lengths, before, axis=3) * ops.take(lengths, after, axis=3)
    known = (
        ops.take(known, _PARENTS[before], axis=3)
        * ops.take(known, _JOINTS, axis=3)
        * ops.take(known, _JOINTS + 1, axis=3)
    )
    return ops.clip(-dots / ops.maximum(products, 1e-8), -1.0, 1.0) * known
