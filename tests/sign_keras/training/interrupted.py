"""Trainings that are killed, and what is left of them against one that was not."""

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.run import Run
from sign_keras.training.callbacks import MEASURED
from sign_keras.training.checkpoints import Checkpoints

NOT_COMPARED = dict.fromkeys(MEASURED, "")


class KilledError(Exception):
    """Stands in for SIGKILL: nothing after it runs."""


def die(*arguments: object, **options: object) -> None:
    """In place of a function before which a training is killed."""
    raise KilledError


def killed_after(saves: Sequence[int], train: Callable[[bool], Any]) -> int:
    """Trains, and goes on after each kill; ``train`` takes whether it is to go on. Returns the kills.

    Args:
        saves: each attempt dies after so many saves; the one after the last of them is not killed.
        train: to the end.
    """
    save = Checkpoints.save
    kills = 0
    for allowed in saves:
        left = allowed

        def save_then_die(self, model, state, *, is_best):
            nonlocal left
            save(self, model, state, is_best=is_best)
            left -= 1
            if not left:
                raise KilledError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checkpoints, "save", save_then_die)
            try:
                train(kills > 0)
            except KilledError:
                kills += 1
            else:
                return kills
    train(True)
    return kills


def contents(path: Path) -> dict[str, Any]:
    """Every dataset of an HDF5 file, by its path."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None)
    return found


def events(directory: Path) -> dict[str, list[tuple[int, Any]]]:
    """``{tag: [(step, tensor)]}`` of all event files below a folder."""
    found = defaultdict(list)
    for path in sorted(directory.rglob("events.out.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found[value.tag].append((event.step, tf.make_ndarray(value.tensor)))
    return found


def assert_same_training(whole: Run, broken: Run) -> None:
    """Weights, optimiser state, history and TensorBoard's scalars are the same; each epoch is there once."""
    rows = [list(csv.DictReader((run.directory / "history.csv").open())) for run in (whole, broken)]
    assert [float(row["epoch"]) for row in rows[1]] == list(range(1, len(rows[0]) + 1))
    for row, other in zip(*rows, strict=True):
        assert row | NOT_COMPARED == other | NOT_COMPARED
    for name in ("last", "best"):
        expected, found = (contents(run.best_weights.with_name(f"{name}.weights.h5")) for run in (whole, broken))
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(value, found[key], err_msg=key)
    for board in ("train", "validation"):
        expected, found = (events(run.directory / "tensorboard" / board) for run in (whole, broken))
        assert expected.keys() == found.keys()
        for tag in expected.keys() - {*(f"epoch_{name}" for name in MEASURED), "config"}:
            assert [step for step, _ in found[tag]] == [step for step, _ in expected[tag]], tag
            for (_, value), (_, other) in zip(expected[tag], found[tag], strict=True):
                np.testing.assert_array_equal(value, other, err_msg=tag)
