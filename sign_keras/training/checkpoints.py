"""Checkpoints: the newest state of a training to go on from, the one before it, and the best epoch to keep.

A checkpoint is two files. Weights (``last.weights.h5``, ``previous.weights.h5``) hold weights, optimiser state and
what is kept among it; a state (``state.json``, ``previous.json``) holds the rest, its own digest and that of its
weights. Every file is whole before it has its name, and whichever weights have a state's digest belong to it: so a
kill between any two renames is noticed, and costs no checkpoint.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
from keras.src.saving import saving_lib

from sign_keras.training.learner import Learner
from sign_keras.training.state import TrainingState
from tfrecords_tools.command_line import UserError, writing
from tfrecords_tools.journal import write_atomically

LAST_WEIGHTS, PREVIOUS_WEIGHTS = "last.weights.h5", "previous.weights.h5"
STATE, PREVIOUS_STATE = "state.json", "previous.json"
PARTIAL = "partial."
GO_ON = "go on with --resume"


class Checkpoints:
    """The ``checkpoints`` folder of a run.

    Args:
        directory: the folder.
        best_weights: the best epoch's file in it.
        is_writer: of several workers one writes; the others only restore, from what it has restored.
    """

    def __init__(self, directory: Path, best_weights: Path, *, is_writer: bool = True) -> None:
        self._directory = directory
        self._best_weights = best_weights
        self._is_writer = is_writer
        self._newest: str | None = None  # state.json, as it was written
        if is_writer:
            with writing(directory):
                directory.mkdir(parents=True, exist_ok=True)

    def save(self, model: Learner, state: TrainingState, *, is_best: bool) -> None:
        """Saves a state; the one before stays.

        The best epoch's file holds the weights that were validated: the averages, where there are any.

        Raises:
            UserError: the disk is full, or cannot be written; the newest checkpoint is as it was.
        """
        if not self._is_writer:
            return
        last = self._directory / LAST_WEIGHTS
        partial, state.weights_digest = self._write_weights(model, last)
        if is_best:
            with model.weights_to_keep():
                _, state.best_digest = self._write_weights(model, self._best_weights)
        state.random_state = [
            keras.ops.convert_to_numpy(variable).tolist() for variable in _random_variables(model)
        ]
        if self._newest is not None:
            write_atomically(self._directory / PREVIOUS_STATE, self._newest, GO_ON)
        with writing(last, GO_ON):
            if last.exists():
                last.replace(self._directory / PREVIOUS_WEIGHTS)
            partial.replace(last)
            _sync(self._directory)
        text = _to_text(state)
        write_atomically(self._directory / STATE, text, GO_ON)
        self._newest = text
        if is_best:
            self._put_best_in_place()
        _sync(self._directory)

    def find(self, say: Callable[[str], None] = print) -> TrainingState:
        """The newest whole checkpoint's state, its files with the newest's names; a fresh one where there is none.

        Args:
            say: is told what is damaged.

        Raises:
            UserError: there are checkpoints, and none is whole.
        """
        found = [name for name in (STATE, PREVIOUS_STATE) if (self._directory / name).exists()]
        if not found:
            return TrainingState()
        for name in (STATE, PREVIOUS_STATE):
            state = self._read_state(name)
            weights = self._weights_of(state) if state else None
            if state is None or weights is None:
                continue
            if name != STATE:
                say(f"{self._directory}: the newest checkpoint is damaged or gone; going back to {state.place}")
            self._make_newest(_to_text(state), weights)
            self._settle_best(state, say)
            return state
        raise UserError(
            f"{self._directory}: its checkpoints are damaged or gone ({', '.join(found)} and their weights); start "
            "anew with another --run-dir"
        )

    def load(self, model: Learner, state: TrainingState) -> None:
        """Loads weights and the like that belong to a state that was found. Of several workers, all at once."""
        if not state.weights_digest:
            return
        model.load_weights(self._directory / LAST_WEIGHTS)
        for variable, value in zip(_random_variables(model), state.random_state, strict=True):
            variable.assign(value)

    def _write_weights(self, model: Learner, path: Path) -> tuple[Path, str]:
        """Writes them under a temporary name; returns that and their digest."""
        content = _weights_file(model)
        partial = path.with_name(f"{PARTIAL}{path.name}")
        with writing(path, GO_ON):
            try:
                with partial.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                for leftover in self._directory.glob(f"{PARTIAL}*"):
                    with contextlib.suppress(OSError):
                        leftover.unlink()
                raise
        return partial, _digest_of(content)

    def _put_best_in_place(self) -> None:
        with writing(self._best_weights, GO_ON):
            self._partial_best.replace(self._best_weights)

    @property
    def _partial_best(self) -> Path:
        return self._best_weights.with_name(f"{PARTIAL}{self._best_weights.name}")

    def _read_state(self, name: str) -> TrainingState | None:
        try:
            values = json.loads((self._directory / name).read_text(encoding="utf-8"))
            # An earlier version has no digest.
            digest = values.pop("digest", None)
            if digest not in (None, _digest_of(json.dumps(values).encode())):
                return None
            return TrainingState(**values)
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def _weights_of(self, state: TrainingState) -> Path | None:
        for name in (LAST_WEIGHTS, PREVIOUS_WEIGHTS):
            path = self._directory / name
            if _has_digest(path, state.weights_digest):
                return path
        return None

    def _make_newest(self, text: str, weights: Path) -> None:
        """Gives what was restored the newest's names: else the next one would replace it before it is whole."""
        if not self._is_writer:
            return
        with writing(self._directory / LAST_WEIGHTS, GO_ON):
            weights.replace(self._directory / LAST_WEIGHTS)
        write_atomically(self._directory / STATE, text, GO_ON)
        _sync(self._directory)
        self._newest = text

    def _settle_best(self, state: TrainingState, say: Callable[[str], None]) -> None:
        """Has the best epoch's file be the one that the state means; else there is no best epoch yet."""
        if not state.best_digest:  # no epoch has ended, or an earlier version made the checkpoint
            return
        if self._is_writer and _has_digest(self._partial_best, state.best_digest):  # a kill came before its rename
            self._put_best_in_place()
        if not _has_digest(self._best_weights, state.best_digest):
            say(
                f"{self._best_weights}: is not epoch {state.best_epoch}'s (damaged, gone, or of an epoch that is "
                "trained again); the best epoch is chosen among those that follow"
            )
            state.best_value, state.best_epoch, state.best_digest = None, 0, ""


def _to_text(state: TrainingState) -> str:
    """As JSON, with a digest of its own."""
    values = asdict(state)
    return json.dumps({**values, "digest": _digest_of(json.dumps(values).encode())})


def _digest_of(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _weights_file(model: keras.Model) -> memoryview:
    """What ``save_weights`` would write. In memory, as HDF5 ends the process with SIGSEGV where a disk is full."""
    content = io.BytesIO()
    store = saving_lib.H5IOStore(content, mode="w")
    saving_lib._save_state(model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set())
    store.close()
    return content.getbuffer()


def _random_variables(model: keras.Model) -> list[keras.Variable]:
    return [variable for variable in model.variables if "seed_generator" in variable.path]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _has_digest(path: Path, digest: str) -> bool:
    return path.exists() and _digest(path) == digest


def _sync(directory: Path) -> None:
    """Has renames last through a loss of power, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
