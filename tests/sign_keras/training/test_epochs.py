import time

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.training.callbacks import INPUT_BOUND, EpochTimes, HistoryCSV, Progress
from sign_keras.training.epochs import TimedStep, run_epochs
from sign_keras.training.state import TrainingState, metric_values
from sign_keras.training.workers import Workers
from tests.sign_keras.training.tiny_learning import clips, tiny_recipe, values

SECONDS = 0.1


def batches(count=10, size=4):
    return tf.data.Dataset.from_tensor_slices(clips(count)).batch(size)


def slowly(inputs, labels):
    (labels,) = tf.py_function(lambda labels: (time.sleep(SECONDS), labels)[1:], [labels], [tf.int32])
    labels.set_shape([None])
    return inputs, labels


def run(recipe, training, state, epochs=1, batches_per_epoch=3):
    rows = []

    class Rows(EpochTimes):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            rows.append((dict(logs), self._state.waited, self._state.seconds))

    run_epochs(
        recipe.learner,
        training.repeat(),
        batches(),
        state=state,
        epochs=epochs,
        batches_per_epoch=batches_per_epoch,
        workers=Workers(),
        callbacks=[Rows({}, 0.1, state)],
    )
    return rows


def test_a_timed_step_is_the_step_and_is_traced_once():
    """The last batch has fewer clips; Keras's own step ends at the same weights."""
    traced = []
    ends = []
    for timed in (True, False):
        learner = tiny_recipe().learner
        train_step = learner.train_step
        learner.train_step = lambda data, *, kind=timed, step=train_step: (traced.append(kind), step(data))[1]
        learner.make_train_function()
        iterator = iter(batches())
        step = TimedStep(learner, iterator)
        for _ in range(3):
            logs = step()[0] if timed else learner.train_function(iterator)
        assert int(learner.optimizer.iterations) == 3
        assert np.isfinite(float(logs["loss"]))
        ends.append(values(learner.variables))
    assert traced.count(True) == traced.count(False)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_step_that_is_made_anew_is_used():
    learner = tiny_recipe().learner
    learner.make_train_function()
    step = TimedStep(learner, iter(batches()))
    step()
    learner.train_step = lambda data: {"loss": tf.constant(7.0)}
    learner.make_train_function(force=True)
    assert float(step()[0]["loss"]) == 7


def test_waiting_for_batches_is_measured():
    state = TrainingState()
    ((logs, waited, seconds),) = run(tiny_recipe(), batches(12).map(slowly), state, batches_per_epoch=8)
    # While the first step is traced, some batches are fetched ahead.
    assert 4 * SECONDS <= waited < seconds
    assert logs["input_wait"] == waited / seconds
    assert logs["seconds"] >= seconds  # validation, which is no training


def test_an_epoch_that_goes_on_reports_all_of_it():
    """Nothing is left but validation: what was waited and learnt before it was interrupted is what is reported."""
    recipe = tiny_recipe()
    run(recipe, batches(12), TrainingState())
    state = TrainingState(batch=3, seconds=10.0, waited=4.0, metrics=metric_values(recipe.learner, Workers()))
    ((logs, _, _),) = run(recipe, batches(12), state)
    assert logs["input_wait"] == 0.4
    assert logs["seconds"] > 10


@pytest.mark.parametrize("share", [INPUT_BOUND, 0.345])
def test_much_waiting_is_said(share, capsys):
    progress = Progress(epochs=3, steps_per_epoch=2, state=TrainingState())
    logs = {"loss": 1.0, "top1": 0.5, "val_loss": 1.0, "val_top1": 0.5, "seconds": 7.4}
    progress.on_epoch_end(0, logs | {"input_wait": share})
    said = capsys.readouterr().out
    assert said.endswith("7 s, 34% of training spent waiting for clips\n" if share > INPUT_BOUND else "7 s\n")


def test_an_epoch_of_an_earlier_version_goes_on(tmp_path):
    """It counted no gradients, and its rows lack the columns of them."""
    recipe = tiny_recipe()
    run(recipe, batches(12), TrainingState())
    values_before = metric_values(recipe.learner, Workers())[: -len(recipe.learner.gradient_norms.variables)]
    old = {"epoch": 1.0, "loss": 2.0}
    state = TrainingState(epoch=1, batch=2, seconds=1.0, metrics=values_before, history=[old])
    ((logs, _, _),) = run(recipe, batches(12), state, epochs=2)
    assert np.isfinite(logs["loss"])
    state.history.append({"epoch": 2.0, "loss": 1.0, "input_wait": 0.5})
    HistoryCSV(tmp_path / "history.csv", state).write()
    assert (tmp_path / "history.csv").read_text() == "epoch,loss,input_wait\n1.0,2.0,\n2.0,1.0,0.5\n"
