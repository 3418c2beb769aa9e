"""A run whose answers differ from clip to clip, and its exports: made once for all tests that need them."""

import functools
from dataclasses import dataclass
from pathlib import Path

import keras

from sign_keras.config import Config
from sign_keras.data.dataset import Records
from sign_keras.export import export_run
from sign_keras.models import build_model, input_names
from sign_keras.run import Run
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.label_map import LabelMap

QUANTIZATIONS = ("none", "dynamic")


@dataclass(frozen=True)
class TinyExport:
    """A run, its records, and what it was exported to, by path below ``directory``."""

    run: Run
    records: Records
    directory: Path
    paths: list[Path]

    @property
    def saved_model(self) -> Path:
        return self.directory / "savedmodels" / "tiny"

    @property
    def tflite(self) -> Path:
        return self.directory / "tflite" / "tiny.tflite"


@functools.cache
def make_run(records_dir: Path, directory: Path) -> tuple[Run, Records]:
    """A run with weights, as if trained; sampled at a rate, so that it takes ``frames`` and ``frame_mask``."""
    config = Config.model_validate(
        {
            "name": "tiny",
            "records": {"directory": records_dir},
            "sampling": {"num_frames": 3, "height": 32, "width": 32, "frame_rate": 6.0},
            "model": {
                "architecture": "cnn_lstm",
                "backbone_width": 0.35,
                "backbone_weights": "none",
                "backbone_trainable": True,
                "lstm_units": 8,
            },
            "train": {"epochs": 1, "batch_size": 4, "learning_rate": 0.01},
        }
    )
    info = DatasetInfo.load(records_dir)
    run = Run.create(directory, config, LabelMap.load(records_dir / "label_map.json"), info)
    records = Records.open(records_dir, config.sampling, input_names(config.model, config.sampling))
    keras.utils.set_random_seed(0)
    model = build_model(config.model, run.clip_input, len(run.label_map))
    run.best_weights.parent.mkdir()
    _make_telling(model, records).save_weights(run.best_weights)
    return run, records


def _make_telling(model: keras.Model, records: Records) -> keras.Model:
    """Fresh weights answer 1 / V to everything, so that every export would agree: normalise and sharpen them."""
    inputs, _, _ = next(records.evaluation_batches("train", 12).as_numpy_iterator())
    backbone = model.get_layer("frame_features").inner.get_layer("mobilenet_v2")
    normalisations = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in normalisations:
        layer.momentum = 0.0
    model(inputs, training=True)
    head = model.get_layer("logits")
    head.kernel.assign(4 * head.kernel)
    return model


@functools.cache
def make_exports(records_dir: Path) -> TinyExport:
    """The run of ``make_run``, exported beside the records."""
    root = records_dir.parent / "exports"
    run, records = make_run(records_dir, root / "runs" / "tiny")
    paths = export_run(
        run, ("savedmodel", "tflite"), QUANTIZATIONS, records=records, output_dir=root, progress=False
    )
    return TinyExport(run, records, root, paths)
