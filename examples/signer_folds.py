"""People dealt to folds for cross-validation, such that the folds are alike; and the table that says who is where.

Each fold is tested once, by models that trained on other people. Half of the next fold's people choose the epoch,
the others are trained on: nobody is in two splits.

The table (CSV) has a row a signer: ``signer``, ``status``, ``fold`` (that the signer tests), ``validates`` (the
fold whose epoch the signer helps to choose; empty where none) and, of each gloss, a column with the signer's number
of clips. From these numbers ``deal_signers`` finds the folds again.
"""

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.sources.tables import read_table

NUM_FOLDS = 5
SUSPECT = "suspect"
COLUMNS = ("signer", "status", "fold", "validates")


@dataclass(frozen=True)
class Person:
    """Who signs, and what.

    Attributes:
        name: of the signer.
        status: of the signer's data; ``suspect`` where they are doubtful.
        clips: by gloss; glosses that the signer does not sign may be left out.
    """

    name: str
    status: str
    clips: Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """Where a person is.

    Attributes:
        fold: that the person tests.
        validates: the fold whose epoch the person helps to choose; None for none.
    """

    fold: int
    validates: int | None


def deal_signers(people: Sequence[Person], num_folds: int = NUM_FOLDS) -> dict[str, Place]:
    """Deals people to folds; the same people, in any order, are dealt the same way.

    Folds differ by one person at most, and are alike in clips of each gloss, in people who sign it, and in suspect
    people, as far as exchanging two people can make them. Likewise the half of a fold that validates another.

    Raises:
        UserError: there are fewer than two people a fold.
    """
    people = sorted(people, key=lambda person: person.name)
    if len(people) < 2 * num_folds:
        raise UserError(f"{len(people)} signers are too few for {num_folds} folds; two a fold are needed")
    shares = _shares(people)
    folds = balanced_groups(shares, num_folds)
    places = {}
    for fold in range(num_folds):
        members = np.flatnonzero(folds == fold)
        halves = balanced_groups(shares[members], 2)
        for member, half in zip(members.tolist(), halves.tolist(), strict=True):
            places[people[member].name] = Place(fold, (fold - 1) % num_folds if half == 1 else None)
    return places


def _shares(people: Sequence[Person]) -> np.ndarray:
    """``[S, M]``: each signer's share of all clips, of each gloss's clips and signers, and of suspect signers."""
    glosses = sorted({gloss for person in people for gloss in person.clips})
    clips = np.array([[person.clips.get(gloss, 0) for gloss in glosses] for person in people], np.float64)
    suspect = np.array([[person.status == SUSPECT] for person in people], np.float64)
    columns = np.concatenate([clips.sum(axis=1, keepdims=True), clips, clips > 0, suspect], axis=1)
    columns = columns[:, columns.any(axis=0)]
    return columns / columns.sum(axis=0)


def balanced_groups(shares: np.ndarray, num_groups: int) -> np.ndarray:
    """``[S]`` numbers of groups that differ by one row at most, with sums of their rows as equal as may be.

    Begins with rows dealt by size, back and forth, and exchanges the two rows that help most until none help: a
    local optimum of the sum of squared differences to the mean.

    Args:
        shares: ``[S, M]``, the columns of equal weight; the first one says which rows are large.
        num_groups: ``S`` at most.
    """
    order = np.argsort(-shares[:, 0], kind="stable")
    back_and_forth = [*range(num_groups), *reversed(range(num_groups))]
    groups = np.empty(len(shares), np.int64)
    groups[order] = list(itertools.islice(itertools.cycle(back_and_forth), len(shares)))
    while True:
        sums = np.stack([shares[groups == group].sum(axis=0) for group in range(num_groups)])
        best_gain, best_pair = 1e-9, None  # less is rounding, which differs between machines
        for one, other in itertools.combinations(range(len(shares)), 2):
            a, b = groups[one], groups[other]
            # Of |x + d|^2 + |y - d|^2 against |x|^2 + |y|^2.
            change = shares[other] - shares[one]
            gain = round(-2 * float(change @ (sums[a] - sums[b] + change)), 9)
            if a != b and gain > best_gain:
                best_gain, best_pair = gain, (one, other)
        if best_pair is None:
            return groups
        groups[list(best_pair)] = groups[list(best_pair[::-1])]


def write_table(file: Path, people: Sequence[Person], places: Mapping[str, Place]) -> None:
    """Writes the table of folds.

    Raises:
        UserError: it cannot be written.
    """
    glosses = sorted({gloss for person in people for gloss in person.clips})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *glosses])
    for person in sorted(people, key=lambda person: person.name):
        place = places[person.name]
        validates = "" if place.validates is None else place.validates
        counts = [person.clips.get(gloss, 0) for gloss in glosses]
        writer.writerow([person.name, person.status, place.fold, validates, *counts])
    write_atomically(file, text.getvalue())


def read_folds(file: Path) -> tuple[list[Person], dict[str, Place]]:
    """The people of a table of folds, and where they are.

    Raises:
        UserError: the table is missing, lacks a column, or holds a row that makes no sense.
    """
    table = read_table(file, COLUMNS)
    people, places = [], {}
    for number, row in table.rows:
        try:
            counts = {gloss: int(count) for gloss, count in row.items() if gloss not in COLUMNS}
            validates = int(row["validates"]) if row["validates"] else None
            place = Place(int(row["fold"]), validates)
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{file}:{number}: expected a signer, a status and whole numbers") from None
        if row["signer"] in places or not row["signer"] or place.fold == place.validates:
            raise UserError(f"{file}:{number}: expected one row a signer, who tests and validates different folds")
        people.append(Person(row["signer"], row["status"], {gloss: n for gloss, n in counts.items() if n}))
        places[row["signer"]] = place
    return people, places
