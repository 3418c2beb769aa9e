"""Where a signer is and how large: the place and the length that keypoints are measured from and in.

Both come from sums over frames of what each frame shows, so that they can be means over a clip or over the frames
so far. Arrays called tracks are ``[B, T, P, C + 1]``: coordinates, zeros where unknown, and whether they are known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from sign_keras.config.keypoints import FeaturesConfig

PAIRS = {
    "shoulders": ("pose/left_shoulder", "pose/right_shoulder"),
    "face": ("pose/left_eye", "pose/right_eye"),
}
# What follows where a reference is missing; last of all the points' own mean and deviation.
FALLBACKS = {"shoulders": ("shoulders", "face"), "face": ("face", "shoulders"), "points": (), "none": ()}
# The distance of the shoulders in lengths of each pair. Of the eyes: as MediaPipe places them in clips of 40 people
# at webcams, the median is 4.8 (4.1 to 5.5 from person to person).
SHOULDERS_IN_PAIRS = {"shoulders": 1.0, "face": 4.8}
ORIGIN = 0.5  # the middle of most pictures: squares about it keep their digits
SMALLEST = 1e-3  # frame widths; a person as small as that was not measured


def needed_pairs(config: FeaturesConfig) -> tuple[str, ...]:
    """Names of ``PAIRS`` that centre and scale are, or fall back on."""
    return tuple(dict.fromkeys((*FALLBACKS[config.center], *FALLBACKS[config.scale])))


def pair_sums(left: Any, right: Any) -> Any:
    """Per frame, of ``r`` pairs: middles (x and y of each), lengths, and whether both ends are known.

    Args:
        left: tracks of the left ends, ``[B, T, r, C + 1]``.
        right: likewise.

    Returns:
        ``[B, T, 4 r]``; zeros for pairs that are not known.
    """
    num_pairs = left.shape[2]
    known = left[..., -1] * right[..., -1]
    middle = (left[..., :2] + right[..., :2]) * (0.5 * known[..., None])
    middle = ops.reshape(middle, (-1, left.shape[1], 2 * num_pairs))
    return ops.concatenate([middle, length((left - right)[..., :2]) * known, known], axis=-1)


def point_sums(points: Any) -> Any:
    """Per frame: sums of x, y, their squares about ``ORIGIN``, and how many points are known: ``[B, T, 5]``."""
    known = points[..., -1:]
    places = (points[..., :2] - ORIGIN) * known
    return ops.concatenate([ops.sum(values, axis=2) for values in (places, places * places, known)], axis=-1)


def center_of(name: str, totals: Mapping[str, Any], pairs: Sequence[str]) -> Any | None:
    """The place to put at 0: ``[B, t, 2]`` of x and y, or None for ``none``.

    Args:
        name: ``FeaturesConfig.center``.
        totals: over frames, ``pairs`` of ``pair_sums`` ``[B, t, 4 r]`` and ``points`` of ``point_sums``
            ``[B, t, 5]``.
        pairs: names of the ``r`` pairs, of those that the layout has.
    """
    if name == "none":
        return None
    mean, _, known = _point_moments(totals["points"])
    center = (mean + ORIGIN) * ops.cast(known, "float32")
    for pair in reversed([pair for pair in FALLBACKS[name] if pair in pairs]):
        _, middle, known = _pair(totals["pairs"], pairs, pair)
        center = ops.where(known, middle, center)
    return center


def scale_of(name: str, center: Any | None, totals: Mapping[str, Any], pairs: Sequence[str]) -> Any | None:
    """The lengths to make 1: ``[B, t, 2]`` of x and of y, or None for ``none``.

    Args:
        name: ``FeaturesConfig.scale``.
        center: of ``center_of``: deviations are about it, or about the points' mean where it is None.
        totals: see ``center_of``.
        pairs: likewise.
    """
    if name == "none":
        return None
    mean, square, _ = _point_moments(totals["points"])
    offset = mean if center is None else center - ORIGIN
    variance = square - 2 * offset * mean + offset * offset
    if name != "points":  # one length for both axes, as a pair's
        variance = ops.mean(variance, axis=-1, keepdims=True)
    scale = ops.where(variance > SMALLEST**2, ops.sqrt(ops.maximum(variance, SMALLEST**2)), 1.0)
    for pair in reversed([pair for pair in FALLBACKS[name] if pair in pairs]):
        width, _, known = _pair(totals["pairs"], pairs, pair)
        known = ops.logical_and(known, width > SMALLEST)
        scale = ops.where(known, width * SHOULDERS_IN_PAIRS[pair], scale)
    return scale if name == "points" else ops.concatenate([scale, scale], axis=-1)


def _point_moments(totals: Any) -> tuple[Any, Any, Any]:
    """Means of x and y, and of their squares, about ``ORIGIN``, ``[B, t, 2]``; whether there was any point."""
    count = totals[..., 4:]
    per_point = 1 / ops.maximum(count, 1.0)
    return totals[..., :2] * per_point, totals[..., 2:4] * per_point, count > 0


def _pair(totals: Any, pairs: Sequence[str], name: str) -> tuple[Any, Any, Any]:
    """Mean length ``[B, t, 1]``, mean middle ``[B, t, 2]`` and whether the pair was ever known, ``[B, t, 1]``."""
    place, num_pairs = pairs.index(name), len(pairs)
    frames = totals[..., 3 * num_pairs + place, None]
    per_frame = 1 / ops.maximum(frames, 1.0)
    width = totals[..., 2 * num_pairs + place, None] * per_frame
    return width, totals[..., 2 * place : 2 * place + 2] * per_frame, frames > 0


def length(vectors: Any) -> Any:
    """Euclidean length over the last axis, which goes; its slope at 0 is finite."""
    return ops.sqrt(ops.maximum(ops.sum(vectors * vectors, axis=-1), 1e-12))
