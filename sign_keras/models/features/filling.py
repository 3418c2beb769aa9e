"""Points that were not found in a frame: their last place, or one between their last and their next.

Arrays here are *tracks*: ``[B, T, P, C + 1]`` float32, a point's coordinates and whether they are known (1, else
0, and the coordinates are then 0). T is static. Time is walked in log2(T) strides: no T x T products.
"""

from typing import Any

from keras import ops


def hold(tracks: Any, past: Any) -> Any:
    """Each point's last known place.

    Args:
        tracks: see the module.
        past: ``[B, 1, P, C + 1]``, the last known places before the first frame; zeros where there are none.

    Returns:
        Tracks; unknown are only points that were never found so far.
    """
    last = _last_true(tracks[..., -1] > 0)
    return _frames_at(ops.concatenate([past, tracks], axis=1), last)


def interpolate(tracks: Any) -> Any:
    """Unknown points on the straight line between their last and their next place, in proportion to time.

    Before a point is first found it stands where it will be, and after its last where it was. Unknown are only
    points that are never found.
    """
    num_frames = tracks.shape[1]
    known = tracks[..., -1] > 0
    last, following = _last_true(known), _next_true(known)
    times = ops.reshape(ops.arange(1, num_frames + 1, dtype="int32"), (1, num_frames, 1))
    # 0 is the frame before the first, num_frames + 1 the one after the last.
    last, following = (
        ops.where(last > 0, last, following),
        ops.where(following <= num_frames, following, last),
    )
    share = ops.cast(times - last, "float32") / ops.cast(ops.maximum(following - last, 1), "float32")
    padded = ops.pad(tracks, ((0, 0), (1, 1), (0, 0), (0, 0)))
    before, after = _frames_at(padded, last), _frames_at(padded, following)
    return before + (after - before) * ops.clip(share, 0.0, 1.0)[..., None]


def running_maximum(values: Any) -> Any:
    """Largest value so far at each frame, of whole numbers ``[B, T, ...]`` from 0 on."""
    num_frames, stride = values.shape[1], 1
    while stride < num_frames:
        padding = ((0, 0), (stride, 0), *((0, 0) for _ in values.shape[2:]))
        values = ops.maximum(values, ops.pad(values[:, :-stride], padding))
        stride *= 2
    return values


def _last_true(flags: Any) -> Any:
    """``[B, T, P]`` int32: the last frame up to this one where a flag is true, counted from 1; 0 where none is."""
    num_frames = flags.shape[1]
    times = ops.reshape(ops.arange(1, num_frames + 1, dtype="int32"), (1, num_frames, 1))
    return running_maximum(ops.where(flags, times, 0))


def _next_true(flags: Any) -> Any:
    """The next frame from this one on where a flag is true, counted from 1; T + 1 where none is."""
    num_frames = flags.shape[1]
    left = ops.reshape(ops.arange(num_frames, 0, -1, dtype="int32"), (1, num_frames, 1))
    following = ops.where(flags, left, 0)
    stride = 1
    while stride < num_frames:
        following = ops.maximum(following, ops.pad(following[:, stride:], ((0, 0), (0, stride), (0, 0))))
        stride *= 2
    return num_frames + 1 - following


def _frames_at(tracks: Any, frames: Any) -> Any:
    """``result[b, t, p] = tracks[b, frames[b, t, p], p]``."""
    num_frames, num_points, depth = tracks.shape[1:]
    clips = ops.reshape(ops.arange(ops.shape(tracks)[0], dtype="int32"), (-1, 1, 1))
    points = ops.reshape(ops.arange(num_points, dtype="int32"), (1, 1, num_points))
    flat = (clips * num_frames + frames) * num_points + points
    return ops.take(ops.reshape(tracks, (-1, depth)), flat, axis=0)
