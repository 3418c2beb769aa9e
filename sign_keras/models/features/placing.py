"""Points moved to a centre, scaled, and mirrored.

Points are tracks ``[B, T, P, C + 1]``: coordinates, zeros where unknown, and whether they are known. Unknown ones
stay zeros throughout.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


def depths_within_groups(points: Any, groups: Sequence[slice]) -> Any:
    """Depths less the mean of their group in that frame: the same point of no group is where all count from.

    MediaPipe counts a hand's depth from its wrist, a pose's from the hips.

    Args:
        points: tracks of x, y and z.
        groups: slices of all points.
    """
    parts = []
    for group in groups:
        part = points[:, :, group]
        depth, known = part[..., 2:3], part[..., 3:]
        count = ops.maximum(ops.sum(known, axis=2, keepdims=True), 1.0)
        mean = ops.sum(depth, axis=2, keepdims=True) / count
        parts.append(ops.concatenate([part[..., :2], (depth - mean) * known, known], axis=-1))
    return ops.concatenate(parts, axis=2)


def placed(points: Any, center: Any | None, scale: Any | None) -> Any:
    """Points from the centre, in units of the scale, each ``[B, t, 2]`` of x and y or None."""
    if center is None and scale is None:
        return points
    known, depth = points[..., -1:], points.shape[-1] - 1
    if center is not None:
        points = points - widened(center, depth, 0.0)
    if scale is not None:
        points = points * widened(1 / scale, depth, 1.0)
    return points * known


def mirrored_where(mirrored: Any, points: Any, mirror: Sequence[int]) -> Any:
    """Points, or where ``mirrored`` ``[B, t, 1]`` is 1 their image: x turned round, left and right exchanged.

    Args:
        mirrored: 1 or 0.
        points: see the module.
        mirror: for each point, the place of its twin.
    """
    signs = ops.convert_to_tensor([-1.0, *[1.0] * (points.shape[-1] - 1)], "float32")
    image = ops.take(points, np.array(mirror), axis=2) * signs
    return either(mirrored[..., None], image, points)


def either(flags: Any, where_one: Any, where_zero: Any) -> Any:
    """One of two arrays, exactly; ``where`` is slow in TFLite where shapes differ."""
    return where_one * flags + where_zero * (1 - flags)


def widened(pair: Any, depth: int, filler: float) -> Any:
    """Something of x and y, ``[B, t, 2]``, for all C + 1 numbers of a point: ``[B, t, 1, C + 1]``.

    Args:
        pair: lengths (``filler`` 1: z takes that of x) or a place (``filler`` 0: z has none).
        depth: C.
        filler: for whether the point is known.
    """
    parts = [pair]
    if depth == 3:
        parts.append(pair[..., :1] * filler)
    parts.append(ops.full_like(pair[..., :1], filler))
    return ops.concatenate(parts, axis=-1)[:, :, None]
