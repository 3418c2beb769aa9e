"""A run directory: everything that is needed to evaluate, export or use a trained model, and to trust it."""

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from sign_keras.config import Config, load_config
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from tfrecords_tools.clips import ClipSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import FILE_NAME as DATASET_INFO_NAME
from tfrecords_tools.dataset_info import LABEL_MAP_NAME, DatasetInfo, installed_versions
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.label_map import LabelMap

CONFIG_NAME = "config.yaml"
ENVIRONMENT_NAME = "environment.json"
CHECKPOINTS_NAME = "checkpoints"
HISTORY_NAME = "history.csv"
METRICS_NAME = "metrics.json"
CONFUSION_MATRIX_NAME = "confusion_matrix.png"
REPORT_NAME = "report.html"
VERSIONS_OF = ("tensorflow", "keras", "numpy", "mediapipe", "av", "ai-edge-litert")


@dataclass(frozen=True)
class Run:
    """One training's directory.

    Attributes:
        directory: ``runs/NAME``.
        config: as resolved when the training began.
        label_map: of the records it was trained on.
        info: description of those records.
    """

    directory: Path
    config: Config
    label_map: LabelMap
    info: DatasetInfo

    @property
    def clip_spec(self) -> ClipSpec:
        """What the model's input is made of: how the records were made, and what is sampled from them."""
        return self.info.clip_spec.model_copy(update={"sampling": self.config.sampling})

    @property
    def clip_input(self) -> ClipInput:
        """What the model is told of its clips when it is built."""
        return ClipInput(self.config.sampling, self.info.pixel_statistics, self.info.layout)

    @property
    def best_weights(self) -> Path:
        """Weights of the best epoch by ``train.monitor``."""
        return self.directory / CHECKPOINTS_NAME / "best.weights.h5"

    @classmethod
    def create(cls, directory: Path, config: Config, label_map: LabelMap, info: DatasetInfo) -> "Run":
        """Writes the description of a training that is about to begin.

        Raises:
            UserError: the directory holds a training already.
        """
        if (directory / CONFIG_NAME).exists():
            raise UserError(
                f"{directory}: holds a run already; add --resume to go on with it, or choose another --run-dir"
            )
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / LABEL_MAP_NAME, label_map.to_json())
        write_atomically(directory / DATASET_INFO_NAME, info.model_dump_json(indent=1))
        write_atomically(directory / ENVIRONMENT_NAME, json.dumps(describe_environment(), indent=1))
        write_atomically(directory / CONFIG_NAME, config.to_yaml())
        return cls(directory, config, label_map, info)

    @classmethod
    def load(cls, directory: Path) -> "Run":
        """Opens a run directory.

        Raises:
            UserError: it is none, or was written by another version.
        """
        if not (directory / CONFIG_NAME).is_file():
            hint = "is no run directory" if directory.is_dir() else "no such directory"
            raise UserError(f"{directory}: {hint}; expected one that sign_keras.train made, with {CONFIG_NAME}")
        return cls(
            directory,
            load_config(directory / CONFIG_NAME),
            LabelMap.load(directory / LABEL_MAP_NAME),
            DatasetInfo.load(directory),
        )

    def load_model(self) -> keras.Model:
        """The model with the weights of its best epoch.

        Raises:
            UserError: no epoch has ended yet, or the weights do not fit.
        """
        if not self.best_weights.is_file():
            raise UserError(f"{self.best_weights}: no such file; has an epoch of this run ended yet?")
        # The run's own weights follow: those that the training began with need not be there any more.
        config = self.config.model.without_weights()
        model = build_model(config, self.clip_input, len(self.label_map))
        try:
            model.load_weights(self.best_weights)
        except (ValueError, OSError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"{self.best_weights}: does not fit the run's config ({reason})") from None
        return model


def describe_environment() -> dict[str, Any]:
    """Versions, commit and hardware, as plain JSON values."""
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "devices": [device.name for device in tf.config.list_physical_devices()],
        "versions": installed_versions(VERSIONS_OF),
        "commit": _commit(),
    }


def _commit() -> str:
    """The checkout's commit; empty where the code is no git checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return found.stdout.strip()
