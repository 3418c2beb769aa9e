import csv
import json

import keras
import numpy as np
import pytest

from sign_keras.data.dataset import Records
from sign_keras.models import build_model, input_names
from sign_keras.run import Run
from sign_keras.training.callbacks import StopOnNonFiniteLoss
from sign_keras.training.checkpoints import Checkpoints
from sign_keras.training.trainer import SmoothedCrossentropy, train
from tfrecords_tools.command_line import UserError


def start(config, directory):
    records = Records.open(config.records.directory, config.sampling, input_names(config.model, config.sampling))
    return Run.create(directory, config, records.label_map, records.info), records


def fit(run, records, *, resume=False):
    config = run.config
    return train(
        run, records, lambda: build_model(config.model, config.sampling, len(records.label_map)), resume=resume
    )


class KilledError(Exception):
    """Stands in for SIGKILL: nothing after it runs."""


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tiny_config, tmp_path, monkeypatch):
    config = tiny_config(train={"epochs": 3, "batch_size": 4, "learning_rate": 0.01})
    whole, records = start(config, tmp_path / "whole")
    fit(whole, records)

    broken, _ = start(config, tmp_path / "broken")
    save = Checkpoints.save

    def save_then_die(self, model, state, *, is_best):
        save(self, model, state, is_best=is_best)
        raise KilledError

    monkeypatch.setattr(Checkpoints, "save", save_then_die)
    with pytest.raises(KilledError):
        fit(broken, records)
    monkeypatch.setattr(Checkpoints, "save", save)
    state = fit(broken, records, resume=True)

    assert state.epoch == 3
    rows = list(csv.DictReader((broken.directory / "history.csv").open()))
    assert [int(float(row["epoch"])) for row in rows] == [1, 2, 3]
    expected = list(csv.DictReader((whole.directory / "history.csv").open()))
    for row, other in zip(rows, expected, strict=True):
        assert row["loss"] == other["loss"]
        assert row["val_loss"] == other["val_loss"]
    for a, b in zip(whole.load_model().get_weights(), broken.load_model().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_leaves_what_the_design_names(tiny_config, tmp_path):
    run, records = start(tiny_config(), tmp_path / "run")
    fit(run, records)
    for name in ("config.yaml", "label_map.json", "dataset_info.json", "environment.json", "history.csv"):
        assert (run.directory / name).is_file(), name
    assert list((run.directory / "tensorboard").rglob("events.out.*"))
    assert Run.load(run.directory).config == run.config
    environment = json.loads((run.directory / "environment.json").read_text())
    assert environment["versions"]["keras"] == keras.__version__
    assert fit(run, records, resume=True).epoch == 2  # nothing left to do


def test_a_run_directory_is_never_overwritten(tiny_config, tmp_path):
    start(tiny_config(), tmp_path / "run")
    with pytest.raises(UserError, match="holds a run already"):
        start(tiny_config(), tmp_path / "run")


def test_a_frozen_backbone_is_bit_identical_after_training(tiny_config, tmp_path):
    config = tiny_config()
    run, records = start(config, tmp_path / "run")
    built = {}

    def build():
        built["model"] = build_model(config.model, config.sampling, 3)
        built["before"] = built["model"].get_layer("frame_features").get_weights()
        return built["model"]

    train(run, records, build, resume=False)
    for a, b in zip(built["before"], built["model"].get_layer("frame_features").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_damaged_weights_are_noticed(tiny_config, tmp_path):
    run, records = start(tiny_config(train={"epochs": 1, "batch_size": 8, "learning_rate": 0.01}), tmp_path / "run")
    fit(run, records)
    last = run.directory / "checkpoints" / "last.weights.h5"
    last.write_bytes(last.read_bytes()[:-1000])
    with pytest.raises(UserError, match="damaged or gone"):
        fit(run, records, resume=True)


def test_non_finite_loss_names_the_step():
    guard = StopOnNonFiniteLoss(steps_per_epoch=10)
    guard.on_epoch_begin(2)
    guard.on_train_batch_end(3, {"loss": 1.25})
    with pytest.raises(UserError, match=r"nan at step 25 \(epoch 3, batch 5; it was 1.25 before\)"):
        guard.on_train_batch_end(4, {"loss": float("nan")})


def test_non_finite_loss_stops_a_real_training(tiny_config, tmp_path):
    config = tiny_config()
    run, records = start(config, tmp_path / "run")

    def build():
        model = build_model(config.model, config.sampling, 3)
        head = model.get_layer("logits")
        head.set_weights([np.full_like(weight, np.nan) for weight in head.get_weights()])
        return model

    with pytest.raises(UserError, match="the loss became nan at step 1"):
        train(run, records, build, resume=False)


def test_smoothed_crossentropy_equals_keras_on_one_hot_labels():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 5)).astype(np.float32), np.array([0, 1, 2, 3, 4, 0])
    for smoothing in (0.0, 0.1):
        ours = SmoothedCrossentropy(smoothing)(labels, logits)
        reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        np.testing.assert_allclose(ours, reference(np.eye(5)[labels], logits), rtol=1e-6)
