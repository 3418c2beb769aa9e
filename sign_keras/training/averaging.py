"""Exponential moving averages of a model's weights: validated and kept in place of the weights themselves.

Source: Polyak and Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; for deep networks,
Tarvainen and Valpola 2017, arXiv:1703.01780. The decay's warm-up is ``tf.train.ExponentialMovingAverage``'s.

Own code, as Keras's ``use_ema`` leaves out the statistics of batch normalisation (they would belong to other
weights than those validated), cannot finish with frozen layers, and swaps by adding and subtracting, which rounds.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
from keras import ops


class WeightAverages:
    """Averages of some variables, kept among an optimiser's, so that checkpoints hold them.

    Args:
        optimizer: built already.
        variables: weights, and running statistics.
        decay: share of the old average in the new one, ``min(decay, (1 + t) / (10 + t))`` at update ``t``: a short
            training is not held back by where it began.
    """

    def __init__(
        self, optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable], decay: float
    ) -> None:
        self._decay = decay
        self._pairs = []
        for variable in variables:
            average = optimizer.add_variable_from_reference(variable, name="average")
            average.assign(variable)
            self._pairs.append((variable, average))

    def update(self, num_updates: Any) -> None:
        """Takes the present values in, after update number ``num_updates`` (from 1); within a replica."""
        updates = ops.cast(num_updates, "float32")
        rate = 1 - ops.minimum(self._decay, (1 + updates) / (10 + updates))
        for variable, average in self._pairs:
            # In this form, what stays the same stays the same to the last bit.
            average.assign(average + (ops.convert_to_tensor(variable) - average) * rate)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Puts the averages into the model, and afterwards the very weights back."""
        weights = [ops.copy(variable) for variable, _ in self._pairs]
        try:
            for variable, average in self._pairs:
                variable.assign(average)
            yield
        finally:
            for (variable, _), weight in zip(self._pairs, weights, strict=True):
                variable.assign(weight)


class ValidateAverages(keras.callbacks.Callback):
    """Has validation use the averages."""

    def __init__(self, averages: WeightAverages) -> None:
        super().__init__()
        self._averages = averages
        self._during_test = ExitStack()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Puts the averages in."""
        del logs
        self._during_test.enter_context(self._averages.in_model())

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Puts the weights back."""
        del logs
        self._during_test.close()
