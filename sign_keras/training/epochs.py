"""The loop over epochs and their batches, from wherever a training stands."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from sign_keras.training.learner import Learner
from sign_keras.training.state import TrainingState, set_metrics


def run_epochs(
    learner: Learner,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    state: TrainingState,
    epochs: int,
    batches_per_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Does what Keras's ``fit`` does, which can begin with the first batch of an epoch only.

    Args:
        learner: compiled.
        training: endless batches, from where ``state`` stands.
        validation: each clip once.
        state: where to begin; callbacks move it on. All batches of an epoch may be done already: what is left of it
            is validation.
        epochs: the last one, from 1.
        batches_per_epoch: what their number says.
        callbacks: Keras's, told what Keras tells them; batches count from 0 at an epoch's beginning.
    """
    called = keras.callbacks.CallbackList(
        list(callbacks), model=learner, verbose=0, epochs=epochs, steps=batches_per_epoch
    )
    batches = iter(learner.distribute_strategy.experimental_distribute_dataset(training))
    step = FetchedStep(learner, batches.element_spec)
    # Metrics have their variables from a first batch on.
    learner._maybe_symbolic_build(data_batch=next(iter(validation)))
    learner.stop_training = False
    learner.make_train_function()
    called.on_train_begin()
    logs = {}
    for epoch in range(state.epoch, epochs):
        learner.reset_metrics()
        if state.batch:
            set_metrics(learner, state.metrics)
        called.on_epoch_begin(epoch)
        for batch in range(state.batch, batches_per_epoch):
            called.on_train_batch_begin(batch)
            # What is blocked here is time in which nothing is learnt. Steps on a GPU run on after they were
            # called, but callbacks have read the loss of the one before, and so waited for its end.
            begun = time.perf_counter()
            data = next(batches)
            state.waited += time.perf_counter() - begun
            called.on_train_batch_end(batch, step(data))
        logs = dict(learner.get_metrics_result())
        validated = learner.evaluate(validation, callbacks=called, return_dict=True)
        logs |= {f"val_{name}": value for name, value in validated.items()}
        called.on_epoch_end(epoch, logs)
        if learner.stop_training:
            break
    called.on_train_end(logs)


class FetchedStep:
    """A learner's training step on a batch that was fetched before, so that fetching can be timed by itself.

    Keras's ``train_function`` takes any iterator over batches, as its ``train_on_batch`` does; of ``tf.data``'s it
    fetches within its graph. Here a graph with the dataset's own shapes goes around it, or else a last batch with
    fewer clips would have the step traced once more.

    Args:
        learner: compiled; where its ``train_function`` is made anew, so is this.
        spec: of a batch over all devices.
    """

    def __init__(self, learner: Learner, spec: Any) -> None:
        self._learner, self._spec = learner, spec
        self._traced_of: Callable[[Any], Any] | None = None

    def __call__(self, data: Any) -> Any:
        """What the step logs."""
        train_function = self._learner.train_function
        if self._traced_of is not train_function:
            self._traced_of = train_function
            self._step = tf.function(
                lambda data: train_function(iter([data])), input_signature=[self._spec], autograph=False
            )
        return self._step(data)
