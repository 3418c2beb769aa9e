"""Checkpoints: the newest epoch to go on from, the best epoch to keep.

``checkpoints/last.weights.h5`` holds weights, optimiser state and random state; ``state.json`` the epoch, the
history and what early stopping knows. Both are renamed into place, the state last, and the state names the
weights' digest: a kill between the two is noticed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras

from sign_keras.config.training import improves_downwards
from sign_keras.training.learner import Learner
from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import write_atomically

LAST_WEIGHTS, PREVIOUS_WEIGHTS, STATE = "last.weights.h5", "previous.weights.h5", "state.json"


@dataclass
class TrainingState:
    """What a training knows beside its weights.

    Attributes:
        epoch: epochs that have ended.
        best_value: of the monitored quantity; None before the first epoch.
        best_epoch: when that was, from 1.
        history: one row an epoch, as in ``history.csv``.
        weights_digest: SHA-256 of the weights file that belongs to it.
        random_state: of every seed generator (dropout has one); Keras leaves these out of its weights files.
    """

    epoch: int = 0
    best_value: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    weights_digest: str = ""
    random_state: list[list[int]] = field(default_factory=list)


class Checkpoints:
    """The ``checkpoints`` folder of a run."""

    def __init__(self, directory: Path, best_weights: Path) -> None:
        self._directory = directory
        self._best_weights = best_weights
        directory.mkdir(parents=True, exist_ok=True)

    def save(self, model: Learner, state: TrainingState, *, is_best: bool) -> None:
        """Saves the epoch that has just ended; the one before stays until the new one is whole.

        The best epoch's file holds the weights that were validated: the averages, where there are any.
        """
        last = self._directory / LAST_WEIGHTS
        partial = self._directory / f"partial.{LAST_WEIGHTS}"
        model.save_weights(partial)
        state.weights_digest = _digest(partial)
        state.random_state = [
            keras.ops.convert_to_numpy(variable).tolist() for variable in _random_variables(model)
        ]
        if last.exists():
            last.replace(self._directory / PREVIOUS_WEIGHTS)
        partial.replace(last)
        if is_best:
            best = self._directory / f"partial.{self._best_weights.name}"
            with model.weights_to_keep():
                model.save_weights(best)
            best.replace(self._best_weights)
        write_atomically(self._directory / STATE, json.dumps(asdict(state)))

    def restore(self, model: Learner) -> TrainingState:
        """Loads the newest whole epoch into a learner, its optimiser built; a fresh state when no epoch has ended.

        Raises:
            UserError: the weights that the state names are damaged or gone.
        """
        try:
            state = TrainingState(**json.loads((self._directory / STATE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return TrainingState()
        except (ValueError, TypeError):
            raise UserError(f"{self._directory / STATE}: is damaged; start anew with another --run-dir") from None
        for name in (LAST_WEIGHTS, PREVIOUS_WEIGHTS):
            path = self._directory / name
            # A kill between renaming the weights and writing the state leaves the state's weights as "previous".
            if path.exists() and _digest(path) == state.weights_digest:
                model.load_weights(path)
                for variable, value in zip(_random_variables(model), state.random_state, strict=True):
                    variable.assign(value)
                return state
        raise UserError(
            f"{self._directory}: the weights of epoch {state.epoch} are damaged or gone; start anew with another "
            "--run-dir"
        )


class CheckpointEpochs(keras.callbacks.Callback):
    """After each epoch: extends the history, keeps the best weights, and stops when nothing improves."""

    def __init__(self, checkpoints: Checkpoints, state: TrainingState, *, monitor: str, patience: int) -> None:
        super().__init__()
        self._checkpoints, self.state = checkpoints, state
        self._monitor, self._patience = monitor, patience

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Saves the epoch; ``epoch`` counts from 0."""
        state, row = self.state, {name: float(value) for name, value in (logs or {}).items()}
        state.epoch = epoch + 1
        state.history.append({"epoch": epoch + 1, **row})
        value = row[self._monitor]
        is_best = state.best_value is None or (
            value < state.best_value if improves_downwards(self._monitor) else value > state.best_value
        )
        if is_best:
            state.best_value, state.best_epoch = value, epoch + 1
        self._checkpoints.save(self.model, state, is_best=is_best)
        if state.epoch - state.best_epoch >= self._patience:
            self.model.stop_training = True

    @property
    def is_exhausted(self) -> bool:
        """Whether early stopping has ended the training, as far as the state tells."""
        return self.state.epoch > 0 and self.state.epoch - self.state.best_epoch >= self._patience


def _random_variables(model: keras.Model) -> list[keras.Variable]:
    return [variable for variable in model.variables if "seed_generator" in variable.path]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
