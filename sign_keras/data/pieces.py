"""A recording of any length as pieces of model inputs, at the model's frame rate: none is lost, none is doubled."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from sign_keras.data.clip import Inputs, prepare_clip
from sign_keras.data.sampling import clip_frames, sample_frames
from tfrecords_tools.clips import SamplingSpec


def clip_pieces(parsed: Inputs, sampling: SamplingSpec, input_names: Sequence[str], size: int) -> Iterator[Inputs]:
    """A clip's inputs, ``size`` frames at a time; the last piece may be shorter.

    Put together they are what ``prepare_clip`` makes for a model that takes as many frames.

    Args:
        parsed: from ``parsing.parse_record``.
        sampling: the model's; it has a frame rate. How many frames the model takes is not looked at.
        input_names: what to make, among ``frames``, ``keypoints`` and ``frame_mask``.
        size: of a piece.
    """
    rate = sampling.frame_rate or 1.0
    count = int(clip_frames(parsed["timestamps"], rate))
    # Room for a frame more than there are, so that the first lies at the clip's beginning.
    whole, _ = sample_frames(parsed["timestamps"], sampling.model_copy(update={"num_frames": count + 1}))
    for start in range(0, count, size):
        indices = whole[start : min(start + size, count)]
        num_frames = len(indices)
        # On screen at the very rate, each is taken once.
        seconds = tf.range(num_frames, dtype=tf.float64) / rate
        piece = parsed | {"timestamps": tf.cast(tf.round(seconds * 1e6), tf.int64)}
        piece |= {name: tf.gather(parsed[name], indices) for name in _by_frame(input_names)}
        yield prepare_clip(piece, sampling.model_copy(update={"num_frames": num_frames}), input_names)


def _by_frame(input_names: Sequence[str]) -> list[str]:
    return [parsed for name, parsed in (("frames", "jpegs"), ("keypoints", "keypoints")) if name in input_names]
