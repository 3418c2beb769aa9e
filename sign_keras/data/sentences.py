"""Clips of sentences: their labels, how far augmentation may change their speed, and which cannot be used.

The label of a sentence is ``[3 + T + L]`` int32: how many of the clip's frames are real; T; the CTC label (gloss id
+ 1) of each of the T frames, 0 where none is signed or nobody says; those of its L glosses; a 0. In a batch, more
zeros fill up the shorter ones. ``ctc.loss.unpacked`` reads it.
"""

from collections.abc import Iterator, Mapping

import tensorflow as tf

from sign_keras.config.ratio import FramesPerLogit
from sign_keras.ctc.planner import SentenceClip, fewest_frames
from sign_keras.data.draws import Draw
from sign_keras.data.sampling import Moments, clip_frames, clip_seconds
from tfrecords_tools.clips import SamplingSpec

Inputs = Mapping[str, tf.Tensor]
# Of the fastest speed, kept away from where rounding would lose a frame.
JUST_BELOW = 1 - 1e-4


def sentence_label(parsed: Inputs, moments: Moments) -> tf.Tensor:
    """The label of a clip; see the module's text.

    Args:
        parsed: from ``parsing.parse_record``; its sentence may be empty.
        moments: of the T frames that the model gets.
    """
    num_frames = tf.reduce_sum(tf.cast(moments.mask, tf.int32))
    glosses = tf.cast(parsed["labels"], tf.int32) + 1
    frames = frame_labels(parsed, moments)
    return tf.concat([[num_frames, tf.size(frames)], frames, glosses, [0]], axis=0)


def frame_labels(parsed: Inputs, moments: Moments) -> tf.Tensor:
    """``[T]`` int32: the CTC label of the gloss that is signed in each frame, 0 where none is or nobody says."""
    starts, ends = parsed["gloss_starts"], parsed["gloss_ends"]
    seconds = tf.gather(parsed["timestamps"], moments.indices)[:, tf.newaxis]
    signed = (starts <= seconds) & (seconds < ends) & moments.mask[:, tf.newaxis]  # at most one in each row
    labels = tf.cast(parsed["labels"][: tf.size(starts)], tf.int32) + 1
    return tf.reduce_sum(tf.where(signed, labels, 0), axis=1)


def keep_whole(drawn: Draw, parsed: Inputs, sampling: SamplingSpec, frames_per_logit: FramesPerLogit) -> Draw:
    """An augmentation whose change of speed neither cuts a clip's sentence nor leaves it too few frames.

    Slower signing needs more frames, of which a model takes ``num_frames``; faster signing leaves fewer, of which
    CTC needs one for each gloss and each blank between two that are the same. Of a clip that is too long or too
    short as it is, no speed helps.
    """
    if sampling.frame_rate is None:
        return drawn
    frames = clip_seconds(parsed["timestamps"], sampling.frame_rate) * sampling.frame_rate
    labels = parsed["labels"]
    needed = tf.size(labels) + tf.reduce_sum(tf.cast(labels[1:] == labels[:-1], tf.int32))
    fewest = tf.cast(fewest_frames(tf.maximum(needed, 1), frames_per_logit), tf.float32)
    slowest, fastest = frames / sampling.num_frames, frames / fewest * JUST_BELOW
    return drawn._replace(span=tf.maximum(tf.minimum(drawn.span, fastest), slowest))


def read_sentences(parsed: tf.data.Dataset, frame_rate: float) -> Iterator[SentenceClip]:
    """Every clip's name, its frames at a rate, and its gloss ids; nothing of its content."""

    def describe(clip: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return clip["media_id"], clip_frames(clip["timestamps"], frame_rate), clip["labels"]

    for name, frames, labels in parsed.map(describe, tf.data.AUTOTUNE).as_numpy_iterator():
        yield SentenceClip(name.decode("utf-8", "replace"), int(frames), labels.tolist())
