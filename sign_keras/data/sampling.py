"""Which frames of a clip a model sees. TensorFlow, so that only those frames are ever decoded."""

from typing import NamedTuple

import tensorflow as tf

from tfrecords_tools.clips import SamplingSpec


class Moments(NamedTuple):
    """``T`` moments of a clip, in temporal order.

    Attributes:
        indices: ``[T]`` int32: the frame on screen.
        shares: ``[T]`` float32 in [0, 1]: how much of its time on screen that frame has had.
        mask: ``[T]`` bool, false where the clip has no such moment (its frame is then the last).
    """

    indices: tf.Tensor
    shares: tf.Tensor
    mask: tf.Tensor


def sample_frames(
    timestamps: tf.Tensor, sampling: SamplingSpec, *when: tf.Tensor | float | None, **more: tf.Tensor | float | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The frames at ``sample_moments``, of whose arguments these are: ``indices`` and ``mask``."""
    moments = sample_moments(timestamps, sampling, *when, **more)
    return moments.indices, moments.mask


def sample_moments(
    timestamps: tf.Tensor,
    sampling: SamplingSpec,
    offsets: tf.Tensor | None = None,
    span: float | tf.Tensor = 1.0,
    place: float | tf.Tensor = 0.5,
    shift: float | tf.Tensor = 0.0,
) -> Moments:
    """Chooses ``T`` moments of a clip.

    Args:
        timestamps: ``[N]`` int64 microseconds, ascending; N of at least 1.
        sampling: what to choose; see ``SamplingSpec``.
        offsets: ``[T]`` float32 in [0, 1): where in its part of the clip each frame is taken; None is the middle
            of each part, as in evaluation.
        span: how much of the usual span the frames cover: the whole clip, or ``T / frame_rate`` seconds.
        place: in [0, 1]: where a span that is shorter than the clip lies in it, from its beginning to its end. In a
            longer one the clip lies likewise, and frames beyond its ends repeat its first and its last; but with a
            ``frame_rate``, the clip then begins the span.
        shift: how much later everything is taken, as a share of what the span covers of the clip; but with a
            ``frame_rate``, nothing before the clip's beginning.
    """
    if offsets is None:
        offsets = tf.fill([sampling.num_frames], 0.5)
    if sampling.frame_rate is None:
        return _evenly(tf.shape(timestamps)[0], sampling.num_frames, offsets, span, place, shift)
    return _at_rate(timestamps, sampling.num_frames, sampling.frame_rate, offsets, span, place, shift)


def _evenly(
    available: tf.Tensor,
    wanted: int,
    offsets: tf.Tensor,
    span: float | tf.Tensor,
    place: float | tf.Tensor,
    shift: float | tf.Tensor,
) -> Moments:
    """One frame out of each of ``wanted`` equal parts; parts shorter than a frame repeat it."""
    length = tf.cast(available, tf.float32)
    positions = (tf.range(wanted, dtype=tf.float32) + offsets) * length / wanted
    positions = place * (1 - span) * length + span * positions + shift * tf.minimum(span, 1.0) * length
    indices = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, available - 1)
    shares = tf.clip_by_value(positions - tf.cast(indices, tf.float32), 0.0, 1.0)
    return Moments(indices, shares, tf.ones([wanted], tf.bool))


def clip_seconds(timestamps: tf.Tensor, frame_rate: float) -> tf.Tensor:
    """How long a clip is, scalar float32: it ends one mean interval after its last frame.

    Args:
        timestamps: ``[N]`` int64 microseconds, ascending; N of at least 1.
        frame_rate: of sampling; a single frame lasts one tick of it.
    """
    last, count = _seconds(timestamps)[-1], tf.shape(timestamps)[0]
    return last + tf.where(count > 1, last / tf.cast(tf.maximum(count - 1, 1), tf.float32), 1 / frame_rate)


def clip_frames(timestamps: tf.Tensor, frame_rate: float) -> tf.Tensor:
    """How many frames a clip has at a rate, however many a model takes; scalar int32."""
    ticks = clip_seconds(timestamps, frame_rate) * frame_rate
    return tf.maximum(tf.cast(tf.math.ceil(ticks - 0.5), tf.int32), 1)  # ticks lie at the middles of intervals


def _seconds(timestamps: tf.Tensor) -> tf.Tensor:
    return tf.cast(timestamps - timestamps[0], tf.float32) / 1e6


def _at_rate(
    timestamps: tf.Tensor,
    wanted: int,
    frame_rate: float,
    offsets: tf.Tensor,
    span: float | tf.Tensor,
    place: float | tf.Tensor,
    shift: float | tf.Tensor,
) -> Moments:
    """The frame on screen at each tick of a clock of ``frame_rate``, by default from the middle of the clip.

    A tick lies at the middle of its interval, so that a clip of that very rate gives each frame once.
    """
    seconds, count = _seconds(timestamps), tf.shape(timestamps)[0]
    length = clip_seconds(timestamps, frame_rate)
    covered = span * (wanted / frame_rate)
    start = tf.maximum((length - covered) * place, 0.0)
    start = tf.maximum(start + shift * tf.minimum(length, covered), 0.0)
    ticks = start + span * ((tf.range(wanted, dtype=tf.float32) + offsets) / frame_rate)
    indices = tf.clip_by_value(tf.searchsorted(seconds, ticks, side="right") - 1, 0, count - 1)
    ends = tf.concat([seconds[1:], length[tf.newaxis]], axis=0)
    begin = tf.gather(seconds, indices)
    shares = tf.clip_by_value(tf.math.divide_no_nan(ticks - begin, tf.gather(ends, indices) - begin), 0.0, 1.0)
    return Moments(indices, shares, ticks < length)
