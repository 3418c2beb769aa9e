import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from signer_folds import (
    NUM_FOLDS,
    SUSPECT,
    Person,
    Place,
    balanced_groups,
    deal_signers,
    read_folds,
    write_table,
)
from tests.conftest import REPOSITORY
from tests.examples.conftest import edit
from tfrecords_tools.command_line import UserError

TABLE = REPOSITORY / "examples" / "mp_words_folds.csv"


def made_up_people(count: int = 23) -> list[Person]:
    rng = np.random.default_rng(2)
    glosses = ["hello", 'čaj/"káva", it\'s', "yes", "no", "thanks"]
    return [
        Person(
            f"signer {number}",
            SUSPECT if number % 7 == 3 else "ok",
            {gloss: int(rng.integers(10, 31)) for gloss in rng.permutation(glosses)[: rng.integers(1, 6)]},
        )
        for number in range(count)
    ]


def test_the_table_is_what_the_function_makes(tmp_path):
    people, places = read_folds(TABLE)
    assert len(people) == 40
    assert deal_signers(people) == places
    write_table(tmp_path / "folds.csv", people, places)
    assert (tmp_path / "folds.csv").read_text(encoding="utf-8") == TABLE.read_text(encoding="utf-8")


def test_folds_of_the_table_are_alike():
    people, places = read_folds(TABLE)
    glosses = Counter(gloss for person in people for gloss in person.clips)
    total = sum(sum(person.clips.values()) for person in people)
    for fold in range(NUM_FOLDS):
        members = [person for person in people if places[person.name].fold == fold]
        assert len(members) == 8
        assert sum(sum(person.clips.values()) for person in members) == pytest.approx(total / NUM_FOLDS, rel=0.03)
        signed = Counter(gloss for person in members for gloss in person.clips)
        assert all(abs(signed[gloss] - count / NUM_FOLDS) <= 1 for gloss, count in glosses.items())
        assert sum(person.status == SUSPECT for person in members) <= 1
        judges = [person for person in people if places[person.name].validates == fold]
        assert len(judges) == 4
        assert {places[person.name].fold for person in judges} == {(fold + 1) % NUM_FOLDS}


def test_the_order_of_people_does_not_matter():
    people = made_up_people()
    assert deal_signers(people) == deal_signers(people[::-1])


@pytest.mark.parametrize("count", [10, 11, 23])
def test_folds_and_halves_differ_by_one_person_at_most(count):
    places = deal_signers(made_up_people(count))
    sizes = Counter(place.fold for place in places.values())
    judges = Counter(place.validates for place in places.values() if place.validates is not None)
    assert len(places) == count
    assert set(sizes) == set(judges) == set(range(NUM_FOLDS))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert all(abs(2 * judges[(fold - 1) % NUM_FOLDS] - sizes[fold]) <= 1 for fold in sizes)


def unevenness(shares: np.ndarray, groups: np.ndarray) -> float:
    sums = np.stack([shares[groups == group].sum(axis=0) for group in range(groups.max() + 1)])
    return float(((sums - sums.mean(axis=0)) ** 2).sum())


def test_no_exchange_of_two_makes_groups_more_even():
    shares = np.random.default_rng(0).gamma(1, size=(14, 5))
    groups = balanced_groups(shares, 4)
    assert sorted(np.bincount(groups)) == [3, 3, 4, 4]
    for one, other in itertools.combinations(range(14), 2):
        exchanged = groups.copy()
        exchanged[[one, other]] = groups[[other, one]]
        assert unevenness(shares, exchanged) >= unevenness(shares, groups) - 1e-8


def test_groups_are_nearly_the_best_of_all():
    shares = np.random.default_rng(1).gamma(1, size=(8, 3))
    found = unevenness(shares, balanced_groups(shares, 2))
    everything = sorted(
        unevenness(shares, np.isin(np.arange(8), half).astype(int)) for half in itertools.combinations(range(8), 4)
    )
    assert found <= np.percentile(everything, 10)


def test_too_few_people_are_refused():
    with pytest.raises(UserError, match="9 signers are too few for 5 folds"):
        deal_signers(made_up_people(9))


def test_table_round_trip(tmp_path):
    people = made_up_people()
    places = deal_signers(people)
    write_table(tmp_path / "folds.csv", people, places)
    read, read_places = read_folds(tmp_path / "folds.csv")
    assert read_places == places
    assert read == sorted(people, key=lambda person: person.name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("status", "state", "has no column status"),
        ("b,ok,1,0", "b,ok,one,0", "folds.csv:3: expected a signer"),
        ("b,ok,1,0,4", "b,ok,1,0", "folds.csv:3: expected a signer"),
        ("b,ok,1,0", "a,ok,1,0", "folds.csv:3: expected one row a signer"),
        ("b,ok,1,0", "b,ok,1,1", "folds.csv:3: expected one row a signer, who tests and validates different folds"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, old, new, message):
    file = tmp_path / "folds.csv"
    people = [Person("a", "ok", {"x": 3}), Person("b", "ok", {"x": 4})]
    write_table(file, people, {"a": Place(0, None), "b": Place(1, 0)})
    edit(file, old, new)
    with pytest.raises(UserError, match=message):
        read_folds(file)
