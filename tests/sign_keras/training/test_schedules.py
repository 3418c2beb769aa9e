import math

import keras
import numpy as np
import pytest

from sign_keras.training.schedules import LowerOnPlateau, build_schedule, plateau_share
from sign_keras.training.state import TrainingState
from tests.sign_keras.training.tiny_learning import train_config

PEAK = 0.2


def rates(steps, *, epochs=10, updates_per_epoch=4, **schedule):
    built, _ = build_schedule(
        train_config(schedule=schedule).schedule, PEAK, epochs=epochs, updates_per_epoch=updates_per_epoch
    )
    return [float(built(step)) / PEAK for step in steps]


def test_cosine_by_hand():
    assert rates([0, 10, 20, 40, 50], name="cosine") == pytest.approx(
        [1, (1 + math.cos(math.pi / 4)) / 2, 0.5, 0, 0], abs=1e-6
    )
    assert rates([40], name="cosine", final_share=0.1) == pytest.approx([0.1])


def test_every_schedule_warms_up_linearly_and_then_begins():
    # One and a half epochs of 4 updates: 6 steps up, in sevenths of the peak.
    ramp = [1 / 7, 2 / 7, 6 / 7, 1]
    for name in ("cosine", "cosine_restarts", "constant", "plateau"):
        assert rates([0, 1, 5, 6], name=name, warmup_epochs=1.5) == pytest.approx(ramp, abs=1e-6), name
    # The cosine then takes what is left of the 40 updates.
    assert rates([6 + 17, 40], name="cosine", warmup_epochs=1.5) == pytest.approx([0.5, 0], abs=1e-6)
    assert rates([30], name="constant", warmup_epochs=1.5) == pytest.approx([1])


def test_warm_restarts_by_hand():
    settings = {"name": "cosine_restarts", "first_period_epochs": 2, "period_multiplier": 2, "decay": 0.5}
    # Periods of 8, 16 and 32 updates, from 1, 1/2 and 1/4.
    assert rates([0, 4, 8, 16, 24, 40], **settings) == pytest.approx([1, 0.5, 0.5, 0.25, 0.25, 0.125], abs=1e-6)
    assert rates([7], **settings) == pytest.approx([(1 + math.cos(math.pi * 7 / 8)) / 2], abs=1e-6)


@pytest.mark.parametrize("multiplier", [1, 1.5, 2, 3])
def test_warm_restarts_restart_at_the_very_update(multiplier):
    settings = {"name": "cosine_restarts", "first_period_epochs": 8, "period_multiplier": multiplier}
    begin, length = 0, 8 * 13
    for _ in range(5):
        steps = [begin, begin + length - 1]
        last = (1 + math.cos(math.pi * (length - 1) / length)) / 2
        assert rates(steps, updates_per_epoch=13, **settings) == pytest.approx([1, last], abs=2e-5)
        begin, length = int(begin + length), length * multiplier
        if length != int(length):
            break


@pytest.mark.parametrize("downwards", [True, False])
def test_plateau_does_what_keras_does(downwards):
    """Against ``ReduceLROnPlateau``, epoch by epoch, on random histories."""
    rng = np.random.default_rng(3)
    config = train_config(schedule={"name": "plateau", "factor": 0.5, "patience": 2, "min_share": 0.1}).schedule
    reductions = set()
    for _ in range(20):
        history = np.round(rng.normal(size=15).cumsum() * 0.1 + (0 if downwards else 5), 3).tolist()
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1.0))
        callback = keras.callbacks.ReduceLROnPlateau(
            monitor="value", mode="min" if downwards else "max", factor=0.5, patience=2, min_lr=0.1, min_delta=1e-4
        )
        callback.set_model(model)
        callback.on_train_begin()
        for epoch, value in enumerate(history):
            callback.on_epoch_end(epoch, {"value": value})
            share = plateau_share(history[: epoch + 1], config, downwards=downwards)
            assert share == pytest.approx(float(model.optimizer.learning_rate), rel=1e-6)
        reductions.add(share)
    assert len(reductions) > 2  # the histories did differ


def test_plateau_lowers_the_rate_and_finds_its_place_again():
    config = train_config(schedule={"name": "plateau", "factor": 0.5, "patience": 1}).schedule
    schedule, rate = build_schedule(config, PEAK, epochs=10, updates_per_epoch=4)
    state = TrainingState(history=[{"val_loss": 1.0}])
    callback = LowerOnPlateau(rate, config, "val_loss", state)
    callback.on_train_begin()
    assert float(schedule(3)) == pytest.approx(PEAK)
    state.history += [{"val_loss": 1.0}, {"val_loss": 1.2}]
    callback.on_epoch_end(2)
    assert float(schedule(3)) == pytest.approx(PEAK / 4)
    # Another process, the same history.
    schedule, rate = build_schedule(config, PEAK, epochs=10, updates_per_epoch=4)
    LowerOnPlateau(rate, config, "val_loss", state).on_train_begin()
    assert float(schedule(3)) == pytest.approx(PEAK / 4)
