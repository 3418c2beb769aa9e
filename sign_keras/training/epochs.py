"""The loop over epochs and their batches, from wherever a training stands."""

from collections.abc import Sequence

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
    # Of batches dealt to several workers Keras does not know the number.
    shared_validation, steps = workers.distribute_whole(validation), None
    if workers.count > 1:
        steps = int(validation.cardinality())
    # Metrics have their variables from a first batch on.
    learner._maybe_symbolic_build(data_batch=next(iter(validation)))
    learner.stop_training = False
    learner.make_train_function()
    called.on_train_begin()
    logs = {}
    for epoch in range(state.epoch, epochs):
        learner.reset_metrics()
        if state.batch:
            set_metrics(learner, state.metrics, workers)
        called.on_epoch_begin(epoch)
        for batch in range(state.batch, batches_per_epoch):
            called.on_train_batch_begin(batch)
            called.on_train_batch_end(batch, learner.train_function(batches))
        logs = dict(learner.get_metrics_result())
        validated = learner.evaluate(shared_validation, steps=steps, callbacks=called, return_dict=True)
        logs |= {f"val_{name}": value for name, value in validated.items()}
        called.on_epoch_end(epoch, logs)
        if learner.stop_training:
            break
    called.on_train_end(logs)
