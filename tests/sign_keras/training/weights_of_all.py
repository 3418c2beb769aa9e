"""Run by ``test_same_twice.py`` in processes of their own: what a tiny training of each architecture ends with."""

import hashlib
import json
import sys
from pathlib import Path

import keras

from sign_keras.config import load_config
from sign_keras.data.dataset import Records
from sign_keras.models import build_model, input_names
from sign_keras.run import Run
from sign_keras.training.trainer import train
from tests.sign_keras.test_config import CONFIGS
from tests.sign_keras.test_train import (
    TINY,
    TINY_KEYPOINT_MODELS,
    TINY_MODELS,
    TINY_SENTENCE_MODELS,
    TINY_VIDEO_SENTENCE_MODELS,
)
from tfrecords_tools.settings import load_yaml


def configs_by_architecture() -> dict[str, Path]:
    """A configuration of each architecture: the one that has its name, or else the first."""
    found: dict[str, Path] = {}
    for path in CONFIGS:
        architecture = load_yaml(path)["model"]["architecture"]
        if architecture not in found or path.stem == architecture:
            found[architecture] = path
    return found


def tiny_settings(architecture: str, records: dict[str, str]) -> list[str]:
    """What ``--set`` takes to make it tiny; ``records`` are folders by kind."""
    models = TINY_MODELS | TINY_KEYPOINT_MODELS | TINY_SENTENCE_MODELS | TINY_VIDEO_SENTENCE_MODELS
    kind = "videos"
    for name, group in (
        ("keypoints", TINY_KEYPOINT_MODELS),
        ("sentences", TINY_SENTENCE_MODELS),
        ("video_sentences", TINY_VIDEO_SENTENCE_MODELS),
    ):
        kind = name if architecture in group else kind
    values = {"records.directory": records[kind]} | TINY | models[architecture]
    return [f"{name}={value}" for name, value in values.items()]


def digest_of_weights(architecture: str, config_path: Path, records: dict[str, str], output: Path) -> str:
    """Trains, and gives the digest of all weights and of the optimiser's state."""
    config = load_config(config_path, tiny_settings(architecture, records))
    model = config.model
    opened = Records.open(
        config.records.directory,
        config.sampling,
        input_names(model, config.sampling),
        model.task,
        model.frames_per_logit,
    )
    run = Run.create(output / architecture, config, opened.label_map, opened.info)
    train(run, opened, lambda: build_model(model, run.clip_input, len(opened.label_map)), resume=False)
    keras.backend.clear_session()
    return hashlib.sha256((run.best_weights.with_name("last.weights.h5")).read_bytes()).hexdigest()


def main() -> None:
    records, output, names = json.loads(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    configs = configs_by_architecture()
    for name in names or configs:
        print(f"digest {name} {digest_of_weights(name, configs[name], records, output)}", flush=True)


if __name__ == "__main__":
    main()
