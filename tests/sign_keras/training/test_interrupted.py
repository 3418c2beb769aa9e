"""Every kind of training, killed at random saves; and real signals at random steps of the real command.

``python -m pytest -m slow -s tests/sign_keras/training/test_interrupted.py`` prints a row for each.
"""

import random
import re
import signal
import subprocess
import sys

import pytest
import yaml

from sign_keras.config import Config
from sign_keras.data.dataset import Records
from sign_keras.models import build_model, input_names
from sign_keras.run import Run
from sign_keras.training.state import TrainingState
from sign_keras.training.trainer import train
from tests.conftest import REPOSITORY
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tests.sign_keras.training.interrupted import assert_same_training, killed_after

VIDEOS = {
    "records": "videos",
    "sampling": {"num_frames": 3, "height": 32, "width": 32},
    "model": {
        "architecture": "cnn_lstm",
        "backbone_width": 0.35,
        "backbone_weights": "none",
        "backbone_trainable": True,
        "lstm_units": 4,
    },
}
TRAIN = {"epochs": 3, "batch_size": 4, "learning_rate": 0.01, "checkpoint_minutes": 1e-9}
KINDS = {
    "mixed precision, accumulation, averages, adversarial weights, unfreezing, plateau": {
        **VIDEOS,
        "model": {**VIDEOS["model"], "backbone_trainable": False},
        "train": {
            **TRAIN,
            "precision": "mixed_float16",
            "batch_size": 2,
            "accumulate_steps": 2,
            "ema_decay": 0.9,
            "adversarial_weights": {"delta": 0.05, "start_epoch": 2},
            "unfreeze": {2: ["frame_features"]},
            "schedule": {"name": "plateau", "patience": 1, "min_delta": 10},
        },
    },
    "mixing, oversampling, no-sign clips, cache in memory, sgd": {
        **VIDEOS,
        "data": {
            "cache": "memory",
            "augment": {"zoom": 0.2, "speed": 0.3},
            "mix": {"mixup": 0.4, "cutmix": 1.0, "probability": 0.7},
            "oversample": 0.5,
            "no_sign": {"share": 0.3},
        },
        "train": {**TRAIN, "optimizer": "sgd"},
    },
    "keypoints, augmented": {
        "records": "keypoints",
        "sampling": {"num_frames": 6, "height": 32, "width": 32},
        "data": {"augment_keypoints": {"noise": {"probability": 0.5, "deviation": 0.01}}},
        "model": {"architecture": "keypoint_gru", "units": [4]},
        "train": {**TRAIN, "batch_size": 8},
    },
    "four stages, gradnorm": {
        "records": "video_sentences",
        "sampling": {"num_frames": 28, "frame_rate": 10, "height": 32, "width": 32},
        "model": {
            "architecture": "four_stage_ctc",
            "backbone_weights": "none",
            "backbone_trainable": True,
            "grid": 2,
            "width": 8,
            "selection": {"units": 4},
            "alignment": {"width": 6, "text_width": 10},
            "lstm_units": [6],
        },
        "train": {
            **TRAIN,
            "epochs": 2,
            "learning_rate": 0.003,
            "loss_weighting": {"name": "gradnorm", "rate": 0.2},
            "monitor": "val_wer",
        },
    },
}


@pytest.fixture
def folders(tiny_records, tiny_keypoint_records, tiny_video_sentence_records):
    return {
        "videos": tiny_records,
        "keypoints": tiny_keypoint_records,
        "video_sentences": tiny_video_sentence_records,
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_ends_the_same_after_kills(kind, folders, tmp_path, monkeypatch):
    from sign_keras.data.no_sign import model_label_map

    if "four" in kind:
        use_tiny_backbone(monkeypatch)
    values = {**KINDS[kind], "name": "toy", "seed": 1}
    config = Config.model_validate(values | {"records": {"directory": folders[values["records"]]}})
    model = config.model
    names = input_names(model, config.sampling)
    records = Records.open(config.records.directory, config.sampling, names, model.task, model.frames_per_logit)
    label_map = model_label_map(records.label_map, config.data.no_sign)
    whole, broken = (Run.create(tmp_path / name, config, label_map, records.info) for name in ("whole", "broken"))

    def fit(run, resume):
        return train(run, records, lambda: build_model(model, run.clip_input, len(label_map)), resume=resume)

    fit(whole, False)
    rng = random.Random(kind)
    kills = killed_after([rng.randint(1, 3) for _ in range(3)], lambda resume: fit(broken, resume))
    assert_same_training(whole, broken)
    print(f"\n| {kind} | {kills} kills after a checkpoint | 0 | 0 |")


TOY = {
    "name": "toy",
    "seed": 1,
    "sampling": {"num_frames": 6, "height": 32, "width": 32},
    "model": {"architecture": "keypoint_gru", "units": [4]},
    "train": {**TRAIN, "checkpoint_minutes": 0.0002},
    "evaluate": {"bootstrap_samples": 100},
    "export": {"formats": []},
}


@pytest.mark.slow
def test_signals_at_random_steps_of_the_command_cost_nothing(tiny_keypoint_records, tmp_path):
    """SIGKILL, SIGTERM and Ctrl-C, each at a step drawn at random; a cache on disk is half filled by the first."""
    steps = random.Random(7)

    def run(name, step=0, number=0, *arguments):
        values = TOY | {"records": {"directory": str(tiny_keypoint_records)}}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values | {"data": {"cache": str(tmp_path / f"{name}_cache")}}))
        module = "tests.sign_keras.training.killed_command"
        command = [sys.executable, "-m", module, str(step), str(int(number)), "--config", str(path)]
        command += ["--run-dir", str(tmp_path / name), *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        return done.returncode, done.stderr.strip().splitlines(), done.stdout

    assert run("whole")[0] == 0
    status, _, _ = run("broken", steps.randint(2, 5), signal.SIGKILL)
    assert status == -signal.SIGKILL
    for number in (signal.SIGTERM, signal.SIGINT):
        status, lines, _ = run("broken", steps.randint(1, 4), number, "--resume")
        assert status == 128 + number
        assert re.fullmatch(
            rf"stopped by {number.name} \(training is saved after epoch \d, batch \d of 6\); to go on: "
            rf"python -m sign_keras\.train --config {tmp_path}/broken/config\.yaml --run-dir {tmp_path}/broken "
            r"--resume",
            lines[-1],
        )
        assert not any("Traceback" in line for line in lines)
    status, lines, output = run("broken", 0, 0, "--resume")
    assert status == 0, lines
    assert "going on after epoch" in output
    assert_same_training(Run.load(tmp_path / "whole"), Run.load(tmp_path / "broken"))
    for name in ("metrics.json", "predictions.csv"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "broken" / name).read_text()


def test_places_are_words():
    assert TrainingState(epoch=2).place == "epoch 2"
    assert TrainingState(epoch=2, batch=5).place == "epoch 3, batch 5"
