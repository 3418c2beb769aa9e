"""Which frames of a clip a model sees. TensorFlow, so that only those frames are ever decoded."""

import tensorflow as tf

from tfrecords_tools.clips import SamplingSpec


def sample_frames(
    timestamps: tf.Tensor,
    sampling: SamplingSpec,
    offsets: tf.Tensor | None = None,
    span: float | tf.Tensor = 1.0,
    place: float | tf.Tensor = 0.5,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Chooses ``T`` frames of a clip.

    Args:
        timestamps: ``[N]`` int64 microseconds, ascending; N of at least 1.
        sampling: what to choose; see ``SamplingSpec``.
        offsets: ``[T]`` float32 in [0, 1): where in its part of the clip each frame is taken; None is the middle
            of each part, as in evaluation.
        span: how much of the usual span the frames cover: the whole clip, or ``T / frame_rate`` seconds.
        place: in [0, 1]: where a span that is shorter than the clip lies in it, from its beginning to its end. In a
            longer one the clip lies likewise, and frames beyond its ends repeat its first and its last; but with a
            ``frame_rate``, the clip then begins the span.

    Returns:
        ``[T]`` int32 indices in temporal order, and ``[T]`` bool, false where the clip has no such frame (its
        index is then that of the last frame).
    """
    if offsets is None:
        offsets = tf.fill([sampling.num_frames], 0.5)
    if sampling.frame_rate is None:
        return _evenly(tf.shape(timestamps)[0], sampling.num_frames, offsets, span, place)
    return _at_rate(timestamps, sampling.num_frames, sampling.frame_rate, offsets, span, place)


def _evenly(
    available: tf.Tensor,
    wanted: int,
    offsets: tf.Tensor,
    span: float | tf.Tensor,
    place: float | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One frame out of each of ``wanted`` equal parts; parts shorter than a frame repeat it."""
    length = tf.cast(available, tf.float32)
    positions = (tf.range(wanted, dtype=tf.float32) + offsets) * length / wanted
    positions = place * (1 - span) * length + span * positions
    indices = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, available - 1)
    return indices, tf.ones([wanted], tf.bool)


def _at_rate(
    timestamps: tf.Tensor,
    wanted: int,
    frame_rate: float,
    offsets: tf.Tensor,
    span: float | tf.Tensor,
    place: float | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The frame on screen at each tick of a clock of ``frame_rate``, by default from the middle of the clip.

    A tick lies at the middle of its interval, so that a clip of that very rate gives each frame once.
    """
    seconds = tf.cast(timestamps - timestamps[0], tf.float32) / 1e6
    count = tf.shape(timestamps)[0]
    # A clip ends one mean interval after its last frame; a single frame lasts one tick.
    interval = tf.where(count > 1, seconds[-1] / tf.cast(tf.maximum(count - 1, 1), tf.float32), 1 / frame_rate)
    length = seconds[-1] + interval
    start = tf.maximum((length - span * (wanted / frame_rate)) * place, 0.0)
    ticks = start + span * ((tf.range(wanted, dtype=tf.float32) + offsets) / frame_rate)
    indices = tf.searchsorted(seconds, ticks, side="right") - 1
    return tf.clip_by_value(indices, 0, count - 1), ticks < length
