"""Which gloss is taken for which, counted while validation runs."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sign_keras.training.losses import gloss_ids


class _Counts(keras.metrics.Metric):
    """Confusion matrix ``[V, V]``; a Keras metric, as these are summed over devices."""

    def __init__(self, num_glosses: int) -> None:
        super().__init__(name="confusion")
        self._num_glosses = num_glosses
        self.counts = self.add_variable((num_glosses, num_glosses), "zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch."""
        del sample_weight
        predicted = tf.argmax(y_pred, axis=-1, output_type=tf.int32)
        self.counts.assign_add(
            tf.math.confusion_matrix(gloss_ids(y_true), predicted, self._num_glosses, dtype=tf.float32)
        )

    def result(self) -> Any:
        """The counts."""
        return self.counts.value


class ConfusionCounts:
    """Counts of one validation.

    Not a metric itself: Keras would find it in the model and log it as a number.

    Args:
        num_glosses: ``V``; within a distribution strategy's scope.
    """

    def __init__(self, num_glosses: int) -> None:
        self._metric = _Counts(num_glosses)

    def update(self, labels: Any, logits: Any) -> None:
        """Counts a batch: labels of either kind, logits ``[B, V]``."""
        self._metric.update_state(labels, logits)

    def reset(self) -> None:
        """Before a validation."""
        self._metric.reset_state()

    @property
    def matrix(self) -> np.ndarray:
        """``[V, V]`` int64: right gloss by predicted gloss."""
        return np.asarray(keras.ops.convert_to_numpy(self._metric.result())).round().astype(np.int64)
