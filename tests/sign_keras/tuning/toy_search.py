"""Searches whose trainings take no time: a made-up score of the learning rate, runs as a training leaves them."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from sign_keras.config import Config, load_config
from sign_keras.studies import trainings
from sign_keras.studies.sentences import ERROR_TYPES
from tests.conftest import REPOSITORY
from tfrecords_tools.command_line import run_command

BASE = REPOSITORY / "configs/keypoint_gru.yaml"
SIGNERS, GLOSSES = 4, 10


def toy_score(config: Config, epoch: int) -> float:
    """Share of right answers: most at a rate of 0.01, more after more epochs, with seed 2 a little less."""
    distance = abs(math.log10(config.train.learning_rate) + 2)
    return round((1 - 0.2 * distance) * (1 - 0.3 / (1 + epoch)) - 0.01 * (config.seed == 2), 6)


def train_toy(command: list[str], stdout: Any = None, stderr: Any = None) -> subprocess.CompletedProcess:
    """In place of ``subprocess.run``: leaves an evaluated run; a dropout above 0.85 fails, as a training would."""
    overrides = [command[place + 1] for place, text in enumerate(command) if text == "--set"]
    config = load_config(Path(command[command.index("--config") + 1]), overrides)
    run = Path(command[command.index("--run-dir") + 1])
    assert ("--resume" in command) == (run / "config.yaml").exists()
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(config.to_yaml())
    if config.model.dropout > 0.85:
        stdout.write("epoch 1\nerror: the loss became nan at step 7\n")
        return subprocess.CompletedProcess(command, 2)
    until = int(command[command.index("--until-epoch") + 1]) if "--until-epoch" in command else config.train.epochs
    last = min(until, config.train.epochs)
    state = run / "checkpoints/state.json"
    first = json.loads(state.read_text())["epoch"] if state.exists() else 0
    with (run.parent / "epochs.txt").open("a") as stream:
        stream.write(f"{config.seed} {first + 1}-{last}\n")
    value = toy_score(config, last)
    right = round(value * SIGNERS * GLOSSES)
    if config.model.task == "continuous":
        value = round(1 - value, 6)
    state.write_text(json.dumps({"epoch": last, "best_epoch": last, "best_value": value}))
    (run / "history.csv").write_text("epoch,seconds\n" + "".join(f"{epoch + 1},6\n" for epoch in range(last)))
    with (run / "predictions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["media_id", "signer", "gloss", "predicted", "reference", *ERROR_TYPES])
        for clip in range(SIGNERS * GLOSSES):
            gloss = f"g{clip % GLOSSES}"
            # Everybody's clips are mistaken in turn.
            number = (clip % SIGNERS) * GLOSSES + clip // SIGNERS
            said = gloss if number < right else "other"
            writer.writerow([f"c{clip:02}", f"s{clip // GLOSSES}", gloss, said, gloss, int(said == "other"), 0, 0])
    for name in ("metrics.json", "report.html"):
        (run / name).write_text("{}")
    return subprocess.CompletedProcess(command, 0)


def write_search(folder: Path, **changes: Any) -> Path:
    """A search of three fields; ``changes`` are of its sections."""
    values: dict[str, Any] = {
        "base": str(BASE),
        "settings": {"train.epochs": 9, "train.monitor": "val_top1"},
        "space": {
            "train.learning_rate": {"choice": [0.0001, 0.001, 0.01, 0.1]},
            "model.dropout": {"float": {"min": 0.1, "max": 0.5, "step": 0.1}},
            "data.augment.mirror": {"choice": [0, 0.5]},
        },
        "search": {"name": "random", "max_trials": 4},
    }
    values |= changes
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return file


def write_records(folder: Path) -> Path:
    """Records that are there, as far as anybody looks before a training."""
    folder.mkdir()
    (folder / "dataset_info.json").write_text("{}")
    return folder


if __name__ == "__main__":
    # The tune command with toy trainings, as a process of its own.
    from sign_keras import tune

    trainings.subprocess = SimpleNamespace(run=train_toy, STDOUT=subprocess.STDOUT)  # type: ignore[assignment]
    sys.argv[0] = "tune"
    run_command(tune.main)
