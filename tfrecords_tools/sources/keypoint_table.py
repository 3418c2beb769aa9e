"""Manifests whose paths are keypoints, not videos: which frames are a clip's, and rows that make no sense there."""

from collections.abc import Iterable

import numpy as np

from tfrecords_tools.clips import Clip, ClipError, SkippedPath

HALF_A_MILLISECOND = 5e-4  # times written with three decimals must not lose their first frame


def without_boxes(clips: Iterable[Clip], what: str) -> tuple[list[Clip], list[SkippedPath]]:
    """Clips without a ``bbox``; and those with one, to be skipped.

    Args:
        clips: of a manifest.
        what: the clips are, with its verb, for the reason: ``an array is``.
    """
    clips = list(clips)
    reason = f"has a bbox, but {what} no picture to cut"
    return (
        [clip for clip in clips if clip.bbox is None],
        [SkippedPath(clip.path, reason) for clip in clips if clip.bbox is not None],
    )


def span_frames(clip: Clip, num_frames: int, frame_rate: float) -> tuple[int, int]:
    """First and, exclusively, last frame of a clip's span.

    Args:
        clip: whose span it is.
        num_frames: that there are.
        frame_rate: frames per second.

    Raises:
        ClipError: there are not that many frames, or the span holds none of them.
    """
    span, seconds = clip.span, np.arange(num_frames) / frame_rate
    first, last = span.start_frame or 0, num_frames if span.end_frame is None else span.end_frame
    if span.start_seconds is not None:
        first = max(first, int(np.searchsorted(seconds, span.start_seconds - HALF_A_MILLISECOND)))
    if span.end_seconds is not None:
        if span.end_seconds > num_frames / frame_rate + HALF_A_MILLISECOND:
            raise ClipError(clip.path, f"has {num_frames} frames and ends before {span.end_seconds} s")
        last = min(last, int(np.searchsorted(seconds, span.end_seconds - HALF_A_MILLISECOND)))
    if last > num_frames or first >= last:
        raise ClipError(clip.path, f"has {num_frames} frames; the clip is said to be {first} to {last}")
    return first, last
