"""The word error rate while a model learns: of the likeliest path, counted within the graph."""

from typing import Any

import keras
import tensorflow as tf

from sign_keras.config.ratio import FramesPerLogit
from sign_keras.ctc.labels import BLANK, logit_frames
from sign_keras.ctc.loss import unpacked


class WordErrorRate(keras.metrics.Metric):
    """Errors over all glosses of all sentences so far, as ``error_rate`` counts them at unit costs.

    Where no sentence has a gloss: 0 if nothing was recognised either, else infinite.

    Args:
        frames_per_logit: how many frames of a clip make one of the logits.
        name: in logs.
    """

    def __init__(self, frames_per_logit: FramesPerLogit = 1, name: str = "wer") -> None:
        super().__init__(name=name)
        self._frames_per_logit = frames_per_logit
        # float64 counts exactly however many clips there are.
        self.errors = self.add_variable((), "zeros", dtype="float64", name="errors")
        self.glosses = self.add_variable((), "zeros", dtype="float64", name="glosses")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch: packed labels ``[B, 2 + T + L]`` (``ctc.loss.unpacked``), logits ``[B, T', V + 1]``."""
        del sample_weight
        known = unpacked(y_true)
        paths = likeliest_paths(y_pred, logit_frames(known.num_frames, self._frames_per_logit))
        labels = tf.cast(known.gloss_ids + 1, tf.int32)
        errors = tf.edit_distance(_sparse(paths), _sparse(labels), normalize=False)
        self.errors.assign_add(tf.cast(tf.reduce_sum(errors), tf.float64))
        self.glosses.assign_add(tf.cast(tf.reduce_sum(known.num_glosses), tf.float64))

    def result(self) -> Any:
        """Errors by glosses."""
        errors, glosses = self.errors.value, self.glosses.value
        return tf.where(errors > 0, errors / glosses, 0.0)


def likeliest_paths(logits: Any, num_frames: Any) -> Any:
    """``[B, T']`` int32: the CTC label that begins in each frame, 0 where none does: repeats and blanks are 0.

    Args:
        logits: ``[B, T', V + 1]``, blank first.
        num_frames: ``[B]`` integers: how many frames of each clip are real.
    """
    labels = tf.argmax(logits, axis=-1, output_type=tf.int32)
    before = tf.pad(labels[:, :-1], [[0, 0], [1, 0]], constant_values=BLANK)
    real = tf.sequence_mask(num_frames, tf.shape(labels)[1])
    return tf.where(real & (labels != before), labels, BLANK)


def _sparse(labels: Any) -> tf.SparseTensor:
    """``[B, N]`` labels with zeros between them to what ``tf.edit_distance`` takes: those that are not 0."""
    return tf.sparse.from_dense(labels)
