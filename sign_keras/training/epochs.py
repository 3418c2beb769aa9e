"""The loop over epochs and their batches, from wherever a training stands."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from sign_keras.training.learner import Learner
from sign_keras.training.state import TrainingState, set_metrics
from sign_keras.training.workers import Workers


def run_epochs(
    learner: Learner,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    *,
    state: TrainingState,
    epochs: int,
    batches_per_epoch: int,
    workers: Workers,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Does what Keras's ``fit`` does, which can begin with the first batch of an epoch only.

    Args:
        learner: compiled.
        training: endless batches of this worker, from where ``state`` stands.
        validation: each clip once, the same for all workers.
        state: where to begin; callbacks move it on. All batches of an epoch may be done already: what is left of it
            is validation.
        epochs: the last one, from 1.
        batches_per_epoch: what their number says.
        workers: that take each step together.
        callbacks: Keras's, told what Keras tells them; batches count from 0 at an epoch's beginning.
    """
    called = keras.callbacks.CallbackList(
        list(callbacks), model=learner, verbose=0, epochs=epochs, steps=batches_per_epoch
    )
    batches = iter(workers.distribute(training))
    step = TimedStep(learner, batches)
    # Of batches dealt to several workers Keras does not know the number.
    shared_validation, steps = workers.distribute_whole(validation), None
    if workers.count > 1:
        steps = int(validation.cardinality())
    # Metrics have their variables from a first batch on.
    learner._maybe_symbolic_build(data_batch=next(iter(validation)))
    learner.stop_training = False
    learner.make_train_function()
    called.on_train_begin()
    logs: dict[str, Any] = {}
    for epoch in range(state.epoch, epochs):
        learner.reset_metrics()
        if state.batch:
            set_metrics(learner, state.metrics, workers)
        called.on_epoch_begin(epoch)
        for batch in range(state.batch, batches_per_epoch):
            called.on_train_batch_begin(batch)
            logs, waited = step()
            state.waited += waited
            called.on_train_batch_end(batch, logs)
        logs = dict(learner.get_metrics_result())
        validated = learner.evaluate(shared_validation, steps=steps, callbacks=called, return_dict=True)
        logs |= {f"val_{name}": value for name, value in validated.items()}
        called.on_epoch_end(epoch, logs)
        if learner.stop_training:
            break
    called.on_train_end(logs)


class TimedStep:
    """A learner's training step, and how long it waited for its batch.

    Keras's ``train_function`` takes any iterator over batches, as its ``train_on_batch`` does; one of ``tf.data``
    it asks within its graph. Here a graph around it asks, with a clock before and after: batches that are fetched
    outside of one, and then handed in, cost small steps a seventh of their time.

    The time is that until the batch is there. A step on a GPU runs on after it was called, but callbacks have read
    the loss of the one before, and so waited for its end: what is waited is time in which nothing is learnt.

    Args:
        learner: compiled; where its ``train_function`` is made anew, so is this.
        batches: iterator over a dataset, distributed or not.
    """

    def __init__(self, learner: Learner, batches: Any) -> None:
        self._learner, self._batches = learner, batches
        self._traced_of: Callable[[Any], Any] | None = None

    def __call__(self) -> tuple[Any, float]:
        """What the step logs, and the seconds."""
        train_function = self._learner.train_function
        if self._traced_of is not train_function:
            self._traced_of = train_function

            def timed_step(batches: Any) -> tuple[Any, Any]:
                begun = tf.timestamp()
                with tf.control_dependencies([begun]):
                    data = batches.get_next()
                with tf.control_dependencies(tf.nest.flatten(data, expand_composites=True)):
                    waited = tf.timestamp() - begun
                return train_function(iter([data])), waited

            self._step = tf.function(timed_step, autograph=False)
        logs, waited = self._step(self._batches)
        return logs, float(waited)
