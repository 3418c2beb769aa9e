"""The loop over epochs and their batches, from wherever a training stands."""

from collections.abc import Sequence

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
            called.on_train_batch_end(batch, learner.train_function(batches))
        logs = dict(learner.get_metrics_result())
        validated = learner.evaluate(validation, callbacks=called, return_dict=True)
        logs |= {f"val_{name}": value for name, value in validated.items()}
        called.on_epoch_end(epoch, logs)
        if learner.stop_training:
            break
    called.on_train_end(logs)
