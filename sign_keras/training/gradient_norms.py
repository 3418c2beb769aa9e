"""How long the gradient is, over all weights and at each stage: where nothing arrives, or far too much does.

Lengths are Euclidean, of the gradient that an update is made from: over all clips of the update, parts and devices,
at the adversarial weights where these are on, with L2, without a loss scale, and before it is clipped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

GRADIENT_NORM = "gradient_norm"


class _Sums(keras.metrics.Metric):
    """Sums of lengths; a Keras metric, as these work on several devices. Each has all of the gradient."""

    def __init__(self, count: int) -> None:
        super().__init__(name="gradient_norms")
        self.lengths = self.add_variable((count,), "zeros", name="lengths")
        self.updates = self.add_variable((count,), "zeros", name="updates")

    def update_state(self, lengths: Any, found: Any) -> None:
        """Adds those of one update, as far as they were found."""
        self.lengths.assign_add(lengths)
        self.updates.assign_add(found)

    def result(self) -> Any:
        """Means; NaN where there was none."""
        return self.lengths.value / self.updates.value


class GradientNorms:
    """Means over an epoch's updates.

    Not a metric itself, as ``ConfusionCounts`` is none: validation has no gradients.

    Args:
        stages: each weight's, by its identity; those of weights that ever learn.
        optimizer: its loss scale is taken out again.
    """

    def __init__(self, stages: Mapping[int, str], optimizer: keras.optimizers.Optimizer) -> None:
        self._stage_of, self._optimizer = dict(stages), optimizer
        self.stages = list(dict.fromkeys(stages.values()))
        self._sums = _Sums(1 + len(self.stages))

    @property
    def variables(self) -> list[keras.Variable]:
        """What an epoch has counted so far."""
        return list(self._sums.variables)

    def update(self, gradients: Sequence[Any], weights: Sequence[keras.Variable]) -> None:
        """Takes one update's gradient in, summed over all devices; within a replica.

        One that is not finite, which a loss scale leaves out, counts at no stage.
        """
        squares: dict[str, list[Any]] = {stage: [] for stage in self.stages}
        for gradient, weight in zip(gradients, weights, strict=True):
            squares[self._stage_of[id(weight)]].append(2 * tf.nn.l2_loss(tf.cast(gradient, tf.float32)))
        by_stage = tf.stack([tf.add_n(found) if found else tf.constant(0.0) for found in squares.values()])
        lengths = tf.sqrt(tf.concat([[tf.reduce_sum(by_stage)], by_stage], 0)) / self._scale()
        learning = tf.constant([1.0, *(1.0 if found else 0.0 for found in squares.values())])
        is_finite = tf.math.is_finite(lengths[0])
        self._sums.update_state(
            tf.where(is_finite, lengths, tf.zeros_like(lengths)), learning * tf.cast(is_finite, tf.float32)
        )

    def _scale(self) -> Any:
        """What the loss was multiplied by."""
        return tf.cast(self._optimizer.scale_loss(tf.constant(1.0)), tf.float32)

    def take(self) -> dict[str, float]:
        """``gradient_norm`` and ``gradient_norm_STAGE``; NaN where a stage is frozen. Begins anew."""
        names = [GRADIENT_NORM, *(f"{GRADIENT_NORM}_{stage}" for stage in self.stages)]
        means = keras.ops.convert_to_numpy(self._sums.result())
        self._sums.reset_state()
        return {name: float(mean) for name, mean in zip(names, means, strict=True)}


class LogGradientNorms(keras.callbacks.Callback):
    """Adds an epoch's to what it logs."""

    def __init__(self, norms: GradientNorms) -> None:
        super().__init__()
        self._norms = norms

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes into the logs that later callbacks see."""
        del epoch
        if logs is not None:
            logs |= self._norms.take()
