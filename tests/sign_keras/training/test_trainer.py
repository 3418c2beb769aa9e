import csv
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.data.dataset import Records
from sign_keras.models import build_model, input_names
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.run import Run
from sign_keras.training.callbacks import StopOnNonFiniteLoss
from sign_keras.training.checkpoints import Checkpoints
from sign_keras.training.trainer import describe_batch, train, updates_per_epoch
from tests.sign_keras.training.interrupted import KilledError, assert_same_training, die, events, killed_after
from tfrecords_tools.command_line import UserError


def start(config, directory):
    records = Records.open(config.records.directory, config.sampling, input_names(config.model, config.sampling))
    return Run.create(directory, config, records.label_map, records.info), records


def small_model(num_glosses=3):
    """``stem``, ``layer1`` and ``logits``, with batch normalisation and dropout: quick to trace."""
    inputs = {"frames": keras.Input((3, 32, 32, 3), dtype="uint8", name="frames")}
    features = keras.ops.mean(keras.ops.cast(inputs["frames"], keras.config.floatx()) / 255, axis=1)
    for name, filters in (("stem", 4), ("layer1", 8)):
        layers = [
            keras.layers.Conv2D(filters, 3, strides=3, name="convolution"),
            keras.layers.BatchNormalization(momentum=0.8, name="norm"),
            keras.layers.ReLU(),
        ]
        features = keras.Sequential(layers, name=name)(features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    features = keras.layers.Dropout(0.3, seed=3)(features)
    return keras.Model(inputs, keras.layers.Dense(num_glosses, name="logits")(features), name="small")


def fit(run, records, *, resume=False, build=small_model, until_epoch=None):
    return train(run, records, build, resume=resume, until_epoch=until_epoch)


RECIPES = {
    "defaults": {"epochs": 2, "learning_rate": 0.01},
    "everything": {
        "epochs": 3,
        "learning_rate": 0.02,
        "learning_rates": {"logits": 0.05},
        "accumulate_steps": 2,
        "optimizer": {"name": "adamw", "weight_decay": 0.1},
        "schedule": {"name": "plateau", "patience": 1, "factor": 0.5, "min_delta": 10, "warmup_epochs": 1},
        "loss": {"name": "focal"},
        "class_weights": "balanced",
        "unfreeze": {2: ["layer1"], 3: ["stem"]},
        "ema_decay": 0.9,
    },
    "restarts": {
        "epochs": 4,
        "learning_rate": 0.02,
        "optimizer": {"name": "sgd", "nesterov": True, "weight_decay": 0.01},
        "schedule": {"name": "cosine_restarts", "first_period_epochs": 1},
        "ema_decay": 0.9,
        "unfreeze": {4: ["stem"]},
    },
}


# After how many saves each attempt is killed: within epochs, before validation, at an epoch's end.
KILLS = {"defaults": [2, 1, 1], "everything": [1, 3, 1], "restarts": [2, 1, 4, 5]}


@pytest.mark.parametrize(
    "recipe", ["everything", *(pytest.param(name, marks=pytest.mark.slow) for name in ("defaults", "restarts"))]
)
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(recipe, tiny_config, tmp_path):
    """Saved after every batch, and killed: weights, averages, optimiser state, history and board are the same."""
    config = tiny_config(train={"batch_size": 4, "checkpoint_minutes": 1e-9, **RECIPES[recipe]})
    whole, records = start(config, tmp_path / "whole")
    fit(whole, records)
    broken, _ = start(config, tmp_path / "broken")
    assert killed_after(KILLS[recipe], lambda resume: fit(broken, records, resume=resume)) == len(KILLS[recipe])
    assert_same_training(whole, broken)
    if recipe == "everything":
        rows = list(csv.DictReader((whole.directory / "history.csv").open()))
        rates = [float(row["learning_rate"]) for row in rows]
        assert rates[1:] == pytest.approx([0.02, 0.01])  # no epoch is 10 better than the one before
        ratios = [float(row["learning_rate_logits"]) / rate for row, rate in zip(rows, rates, strict=True)]
        assert ratios == pytest.approx([2.5] * 3)


def test_a_paused_training_ends_where_one_without_a_pause_does(tiny_config, tmp_path):
    """Its cosine stretches over all epochs from the beginning: a pause is no shorter training."""
    config = tiny_config(train={"epochs": 2, "schedule": "cosine"})
    whole, records = start(config, tmp_path / "whole")
    fit(whole, records)
    paused, _ = start(config, tmp_path / "paused")
    assert fit(paused, records, until_epoch=1).epoch == 1
    assert fit(paused, records, resume=True, until_epoch=9).epoch == 2
    assert_same_training(whole, paused)


def test_an_epoch_that_is_on_the_board_and_not_saved_is_there_once(tiny_config, tmp_path, monkeypatch):
    """Killed between TensorBoard's write and the checkpoint's; nothing is saved within epochs."""
    config = tiny_config(train={"batch_size": 8, "epochs": 1, "checkpoint_minutes": None})
    run, records = start(config, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", die)
        with pytest.raises(KilledError):
            fit(run, records)
    assert [step for step, _ in events(run.directory)["epoch_loss"]] == [0, 0]  # training, validation
    fit(run, records, resume=True)
    found = events(run.directory)
    # Losses and metrics are of training and of validation.
    of_both = ("epoch_loss", "epoch_top1", "epoch_top5")
    assert {tag: len(values) for tag, values in found.items()} == dict.fromkeys(found, 1) | dict.fromkeys(
        of_both, 2
    )


def test_the_best_epochs_file_holds_the_averages_that_were_validated(tiny_config, tmp_path):
    config = tiny_config(train={"epochs": 1, "batch_size": 4, "learning_rate": 0.02, "ema_decay": 0.9})
    run, records = start(config, tmp_path / "run")
    state = fit(run, records)
    model = small_model()
    model.load_weights(run.best_weights)
    batches = records.evaluation_batches("validation", 4)
    logits, labels = (
        np.concatenate(parts)
        for parts in zip(*((model(inputs, training=False), labels) for inputs, labels, _ in batches), strict=True)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert float(loss) == pytest.approx(state.history[0]["val_loss"], rel=1e-5)
    model.load_weights(run.best_weights.with_name("last.weights.h5"))
    logits = np.concatenate([model(inputs, training=False) for inputs, _, _ in batches])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert float(loss) != pytest.approx(state.history[0]["val_loss"], rel=1e-3)


def test_mixed_clips_train_in_parts(tiny_config, tmp_path):
    config = tiny_config(
        data={"mix": {"mixup": 0.4, "cutmix": 1.0}},
        train={"epochs": 1, "batch_size": 2, "accumulate_steps": 2, "learning_rate": 0.01},
    )
    run, records = start(config, tmp_path / "run")
    state = fit(run, records)
    assert 0 <= state.history[0]["top1"] <= 1
    assert np.isfinite(state.history[0]["loss"])


def test_batches_that_devices_cannot_share_are_refused():
    with pytest.raises(UserError, match="is 6: must be a multiple of the 4 devices"):
        updates_per_epoch(17, 6, devices=4)
    with pytest.raises(UserError, match=r"1 clip\(s\) for 2 devices"):
        updates_per_epoch(1, 8, devices=2)


def test_the_log_says_what_each_device_and_all_together_learn_from(tiny_config):
    config = tiny_config(train={"batch_size": 8, "accumulate_steps": 2, "learning_rate": 0.002}).train
    alone, devices, workers = (SimpleNamespace(devices=n, count=m) for n, m in ((1, 1), (4, 1), (4, 2)))
    assert describe_batch(config, alone) == "1 device, batch 16 (2 parts of 8), float32"
    line = (
        "batch 4 on each and 16 (2 parts of 8) over all, learning rate 0.002 as configured (not scaled by devices)"
    )
    assert describe_batch(config, devices) == f"4 devices, {line}, float32"
    assert describe_batch(config, workers) == f"4 devices of 2 workers, {line}, float32"


def test_a_stage_that_there_is_not_is_one_line(tiny_config, tmp_path):
    run, records = start(tiny_config(train={"freeze": ["layer1"]}), tmp_path / "run")
    with pytest.raises(
        UserError, match=r"^train.freeze: layer1: no such stage of cnn_lstm; it has frame_features, lstm"
    ):
        fit(run, records, build=lambda: build_model(run.config.model, run.clip_input, 3))


@pytest.mark.parametrize("wanted", [False, True])
def test_deterministic_operations_are_asked_for(wanted, tiny_config, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    run, records = start(tiny_config(train={"deterministic": wanted, "freeze": ["nothing"]}), tmp_path / "run")
    with pytest.raises(UserError, match="no such stage"):
        fit(run, records)
    assert asked == [True] * wanted


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
    config = tiny_config(train={"epochs": 1})
    run, records = start(config, tmp_path / "run")
    built = {}

    def build():
        built["model"] = build_model(config.model, ClipInput(config.sampling), 3)
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
    with pytest.raises(UserError, match=r"damaged or gone.*start anew"):
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
        model = small_model()
        head = model.get_layer("logits")
        head.set_weights([np.full_like(weight, np.nan) for weight in head.get_weights()])
        return model

    with pytest.raises(UserError, match="the loss became nan at step 1"):
        train(run, records, build, resume=False)
