"""Trainings one after another, each in a process of its own: what is done is skipped, what was stopped goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sign_keras.config import Config, load_config
from tfrecords_tools.command_line import UserError

WRITTEN_BY_EVALUATION = ("metrics.json", "predictions.csv", "report.html")


@dataclass(frozen=True)
class Training:
    """A training to do.

    Attributes:
        config: name of the configuration.
        label: of the fold or the seed.
        file: the configuration's.
        overrides: of the file's settings.
        run: its directory.
    """

    config: str
    label: str
    file: Path
    overrides: tuple[str, ...]
    run: Path

    @property
    def is_done(self) -> bool:
        """Whether the run has been evaluated."""
        return all((self.run / name).exists() for name in WRITTEN_BY_EVALUATION)

    def load_config(self) -> Config:
        """The configuration that it is to have.

        Raises:
            SettingsError: it has faults.
        """
        return load_config(self.file, self.overrides)


def as_overrides(changes: Mapping[str, Any]) -> list[str]:
    """Settings by dotted name, as arguments of ``--set``."""
    return [f"{name}={json.dumps(value)}" for name, value in changes.items()]


def refuse_own_settings(overrides: Sequence[str], own: Sequence[str]) -> None:
    """Refuses ``--set`` of what a command sets itself.

    Args:
        overrides: ``--set`` arguments.
        own: beginnings of settings' dotted names.

    Raises:
        UserError: naming the argument.
    """
    for override in overrides:
        if override.split("=")[0].startswith(tuple(own)):
            raise UserError(f"--set {override}: this command sets {' and '.join(own)} itself")


def runs_by_config(trainings: Sequence[Training]) -> dict[str, dict[str, Path]]:
    """The runs of each configuration, by label."""
    runs: dict[str, dict[str, Path]] = {}
    for training in trainings:
        runs.setdefault(training.config, {})[training.label] = training.run
    return runs


def time_taken(run: Path) -> dict[str, float]:
    """How many ``epochs`` a run trained, and for how many ``minutes``; evaluating is not in it.

    Raises:
        UserError: its history is missing or damaged.
    """
    path = run / "history.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            seconds = [float(row["seconds"]) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete the run and start again") from None
    return {"epochs": len(seconds), "minutes": sum(seconds) / 60}


def check_run(training: Training) -> None:
    """Reads a training's configuration, and compares it with that of its run where this was begun.

    Raises:
        UserError: the configuration has faults, or the two differ in more than the place of the records.
    """
    wanted = training.load_config()
    if not (training.run / "config.yaml").exists():
        return
    begun = load_config(training.run / "config.yaml")
    if begun.model_copy(update={"records": wanted.records}) != wanted:
        raise UserError(
            f"{training.run}: was begun with another configuration than {training.file}; delete it, or give this "
            "one another name with --set name=..."
        )


def train(training: Training, *, until_epoch: int | None = None, log: Path | None = None) -> None:
    """Trains and evaluates, in a process of its own, which gives its memory back.

    Args:
        training: to do, or to go on with.
        until_epoch: pause after it, see ``training.trainer.train``.
        log: where its words are added to; None: they are shown.

    Raises:
        UserError: the training fails.
    """
    command = [sys.executable, "-m", "sign_keras.train", "--config", str(training.file)]
    command += ["--run-dir", str(training.run), "--end-with", str(os.getpid())]
    command += [argument for override in training.overrides for argument in ("--set", override)]
    resume = ["--resume"] if (training.run / "config.yaml").exists() else []
    pause = [] if until_epoch is None else ["--until-epoch", str(until_epoch)]
    command += resume + pause
    if log is None:
        status, words = subprocess.run(command).returncode, "its own words are above"
    else:
        with log.open("a", encoding="utf-8") as stream:
            status = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT).returncode
        words = last_words(log)
    if status == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    if status:
        raise UserError(f"{training.run}: the training ended with status {status}; {words}")


def last_words(log: Path) -> str:
    """Why a training failed, by what it wrote last."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it said nothing")


def train_all(trainings: Sequence[Training]) -> None:
    """Does what has not been done yet, and says how long the rest will take.

    Raises:
        UserError: a configuration has faults or a run is of another one (found before anything is trained), or a
            training fails.
    """
    for training in trainings:
        check_run(training)
    left = [training for training in trainings if not training.is_done]
    if len(left) < len(trainings):
        print(f"{len(trainings) - len(left)} of {len(trainings)} trainings are done already")
    minutes: dict[str, list[float]] = {}
    for number, training in enumerate(left, start=1):
        expected = expected_minutes(minutes, [later.config for later in left[number - 1 :]])
        about = f"; about {max(1, round(expected))} min left" if minutes else ""
        print(f"training {number} of {len(left)}: {training.run}{about}", flush=True)
        started = time.monotonic()
        train(training)
        minutes.setdefault(training.config, []).append((time.monotonic() - started) / 60)


def expected_minutes(minutes: Mapping[str, Sequence[float]], left: Sequence[str]) -> float:
    """How long trainings of these configurations will take, after those that were timed.

    A configuration that has not been timed is taken to need as long as the others.
    """
    means = {config: sum(times) / len(times) for config, times in minutes.items()}
    overall = sum(means.values()) / max(1, len(means))
    return sum(means.get(config, overall) for config in left)
