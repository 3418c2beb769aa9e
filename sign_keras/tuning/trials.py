"""A trial: ordinary trainings of one configuration, one a seed, and what came of them.

Folders: ``RUNS/trial_0003/seed_1`` is a run like any other, ``RUNS/trial_0003/seed_1.log`` what its training said,
and ``RUNS/trial_0003/failed.txt`` why the trial failed, where it did.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sign_keras.run import CHECKPOINTS_NAME
from sign_keras.studies.trainings import WRITTEN_BY_EVALUATION, Training, check_run, time_taken, train
from sign_keras.training.checkpoints import STATE
from sign_keras.tuning.plan import Plan
from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import folder_lock, write_atomically

FAILED_NAME = "failed.txt"


class TrialFailedError(Exception):
    """A trial that gives no score; the message is the reason, in one line."""


@dataclass(frozen=True)
class Trial:
    """One configuration, as far as it has been trained.

    Attributes:
        number: from 0; of its folder.
        values: of the fields of the space, by path.
        scores: each seed's best of what is monitored; empty where it failed or has not ended.
        reason: why it failed; empty where it did not.
        epochs: trained at most, over its seeds.
        minutes: of all its seeds' epochs.
        runs: one a seed.
    """

    number: int
    values: Mapping[str, Any]
    scores: tuple[float, ...]
    reason: str
    epochs: int
    minutes: float
    runs: tuple[Path, ...]

    @property
    def score(self) -> float:
        """The mean of its seeds'."""
        return sum(self.scores) / len(self.scores)


def run_trial(plan: Plan, number: int, values: Mapping[str, Any], until_epoch: int | None = None) -> float:
    """Does a trial's trainings, or what is left of them, and returns the mean of their scores.

    Hyperband trains a trial for a few epochs first. To go on means ``train --until-epoch``: the training is paused
    and resumed, so its learning rates, whose schedule stretches over all ``train.epochs``, its optimiser and its
    random state are at every epoch those of a training that was never paused. Few epochs are thus the beginning of
    many, which is what Hyperband takes them for. A short training with a schedule of its own would end better, but
    say less about how the long one begins, and none of its epochs could be used for that.

    Args:
        plan: the search.
        number: of the trial.
        values: of the fields of the space, by path.
        until_epoch: go no further.

    Raises:
        TrialFailedError: the configuration does not take the values together, or a training failed.
        UserError: another process is at it.
    """
    folder = plan.folder(number)
    folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(
        folder / ".lock", f"{folder}: another process trains there; stop it, then start this one again"
    ):
        return _run_trial(plan, number, values, until_epoch)


def _run_trial(plan: Plan, number: int, values: Mapping[str, Any], until_epoch: int | None) -> float:
    folder = plan.folder(number)
    try:
        for training in plan.trainings(number, values):
            check_run(training)
            if not _has_ended(training, until_epoch):
                for name in WRITTEN_BY_EVALUATION:  # of fewer epochs
                    (training.run / name).unlink(missing_ok=True)
                train(training, until_epoch=until_epoch, log=folder / f"{training.run.name}.log")
        (folder / FAILED_NAME).unlink(missing_ok=True)
        trial = read_trial(plan, number, values)
        if not all(map(math.isfinite, trial.scores)):
            raise UserError(f"{plan.monitor} is {', '.join(f'{score:g}' for score in trial.scores)}")
    except UserError as error:
        reason = " ".join(str(error).split())
        write_atomically(folder / FAILED_NAME, reason)
        raise TrialFailedError(reason) from None
    return trial.score


def _has_ended(training: Training, until_epoch: int | None) -> bool:
    """Whether nothing is left to train up to an epoch, and what is there has been evaluated."""
    if not training.is_done:
        return False
    config, state = training.load_config().train, _read_state(training.run)
    wanted = min(config.epochs, until_epoch or config.epochs)
    return state["epoch"] >= wanted or state["epoch"] - state["best_epoch"] >= config.early_stopping_patience


def _read_state(run: Path) -> dict[str, Any]:
    """What a training knew after its last epoch.

    Raises:
        UserError: it is not there, or damaged.
    """
    path = run / CHECKPOINTS_NAME / STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {
            "epoch": int(state["epoch"]),
            "best_epoch": int(state["best_epoch"]),
            "best": float(state["best_value"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: is missing or damaged; delete {run} and start again") from None


def read_trial(plan: Plan, number: int, values: Mapping[str, Any]) -> Trial:
    """A trial as its folder tells it.

    Raises:
        UserError: it is said to be trained, but a run is damaged.
    """
    runs = tuple(training.run for training in plan.trainings(number, values))
    failed = plan.folder(number) / FAILED_NAME
    reason = failed.read_text(encoding="utf-8") if failed.exists() else ""
    if reason:
        return Trial(number, values, (), reason, 0, 0.0, runs)
    taken = [time_taken(run) for run in runs]
    return Trial(
        number,
        values,
        tuple(_read_state(run)["best"] for run in runs),
        "",
        max(int(found["epochs"]) for found in taken),
        sum(found["minutes"] for found in taken),
        runs,
    )
