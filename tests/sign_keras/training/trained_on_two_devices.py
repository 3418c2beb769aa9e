"""Run by ``test_architectures_on_two_devices.py``: whole trainings, on one device and then on two.

Arguments: folders of records by kind and the trainings that are wanted (a folder of output, and names of
``trainings``), as JSON. TensorFlow's devices are set up before anything else, so it takes a process of its own.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import Config, load_config
from sign_keras.data.dataset import Records
from sign_keras.models import build_model, input_names
from sign_keras.run import Run
from sign_keras.training import trainer, workers
from sign_keras.training.callbacks import MEASURED
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tests.sign_keras.training.interrupted import contents
from tests.sign_keras.training.weights_of_all import configs_by_architecture, tiny_settings

# Under Adam a gradient of 1e-9 that is rounded differently moves a weight as far as any other.
LEARNING = {
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.accumulate_steps": 1,
    "train.optimizer": "sgd",
    "train.learning_rate": 0.02,
    "train.schedule": "constant",
    "train.precision": "float32",
    "train.learning_rates": "{}",
    "train.freeze": "[]",
    "train.unfreeze": "{}",
    "train.adversarial_weights": "null",
}
# Beside the architectures themselves: the name of one, and what else is set.
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "four_stage_ctc, gradnorm": ("four_stage_ctc", {"train.loss_weighting": "{name: gradnorm, rate: 0.2}"}),
    "four_stage_ctc, uncertainty": ("four_stage_ctc", {"train.loss_weighting": "{name: uncertainty, rate: 0.1}"}),
    "keypoint_gru, in two parts": ("keypoint_gru", {"train.batch_size": 4, "train.accumulate_steps": 2}),
    "cnn_lstm, adversarial weights": ("cnn_lstm", {"train.adversarial_weights": "{delta: 0.05, start_epoch: 2}"}),
    "keypoint_gru, averages and last batch of one device": (
        "keypoint_gru",
        {"train.batch_size": 10, "train.ema_decay": 0.9},
    ),
    "keypoint_gru, mixed_bfloat16": ("keypoint_gru", {"train.precision": "mixed_bfloat16"}),
    "keypoint_gru, mixed_float16": ("keypoint_gru", {"train.precision": "mixed_float16"}),
    "cnn_lstm, mixed_bfloat16": ("cnn_lstm", {"train.precision": "mixed_bfloat16"}),
    "four_stage_ctc, gradnorm, mixed_bfloat16": (
        "four_stage_ctc",
        {"train.loss_weighting": "{name: gradnorm, rate: 0.2}", "train.precision": "mixed_bfloat16"},
    ),
}


def config_of(name: str, records: dict[str, str]) -> Config:
    architecture, changes = RECIPES.get(name, (name, {}))
    settings = tiny_settings(architecture, records)
    settings += [f"{key}={value}" for key, value in {**LEARNING, **changes}.items()]
    configs = configs_by_architecture()
    if architecture not in configs:  # mixed convolutions have none of their own
        settings.append(f"model.architecture={architecture}")
    return load_config(configs.get(architecture, configs["r3d"]), settings)


def steadied(model: keras.Model) -> keras.Model:
    """Without what is to differ between one device and two: dropout, and statistics of a device's clips."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        if hasattr(layer, "rate") and hasattr(layer, "seed_generator"):
            layer.rate = 0.0
    return model


def train_on(strategy: tf.distribute.Strategy, config: Config, directory: Path) -> dict[str, Any]:
    """Weights and optimiser state at the end, and before; and the history."""
    model = config.model
    names = input_names(model, config.sampling)
    records = Records.open(config.records.directory, config.sampling, names, model.task, model.frames_per_logit)
    run = Run.create(directory, config, records.label_map, records.info)
    begun: list[np.ndarray] = []

    def build() -> keras.Model:
        built = steadied(build_model(model, run.clip_input, len(records.label_map)))
        begun.extend(keras.ops.convert_to_numpy(weight) for weight in built.trainable_weights)
        learning.append(built)
        return built

    learning: list[keras.Model] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "local_strategy", lambda: strategy)
        trainer.train(run, records, build, resume=False)
    ended = [keras.ops.convert_to_numpy(weight) for weight in learning[0].trainable_weights]
    moved = max(float(np.abs(a - b).max()) for a, b in zip(begun, ended, strict=True))
    rows = list(csv.DictReader((directory / "history.csv").open(newline="")))
    keras.backend.clear_session()
    return {
        "moved": moved,
        "files": {file: contents(run.best_weights.with_name(f"{file}.weights.h5")) for file in ("last", "best")},
        "history": [{name: float(value) for name, value in row.items() if name not in MEASURED} for row in rows],
    }


def difference(files: dict[str, Any], others: dict[str, Any]) -> float:
    """The largest, over all weights and all state of the optimiser, of both checkpoints."""
    assert files.keys() == others.keys()
    return max(
        float(np.abs(np.float64(value) - np.float64(others[file][name])).max())
        for file, values in files.items()
        for name, value in values.items()
        if np.size(value)
    )


def main() -> None:
    asked = json.loads(sys.argv[1])
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    output = Path(asked["output"])
    # One of each for all trainings: TensorFlow numbers the reductions of every strategy from the same number on.
    one, two = (tf.distribute.MirroredStrategy(devices) for devices in (["CPU:0"], ["CPU:0", "CPU:1"]))
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        for name in asked["names"]:
            config = config_of(name, asked["records"])
            alone = train_on(one, config, output / name / "alone")
            together = train_on(two, config, output / name / "together")
            found = {
                "moved": alone["moved"],
                "difference": difference(alone["files"], together["files"]),
                "histories": [alone["history"], together["history"]],
            }
            print("found " + json.dumps({name: found}), flush=True)


if __name__ == "__main__":
    main()
