import csv

import pytest

from inner_choice import choose, parse_choices
from tfrecords_tools.command_line import UserError

RARE, FREQUENT = "rare", "frequent"


@pytest.fixture
def make_run(tmp_path):
    """``make_run(name, rare, frequent)``: an evaluated run, right in so many of 2 and of 8 clips of one signer."""

    def make(name, rare, frequent):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "predictions.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["media_id", "signer", "gloss", "predicted"])
            for gloss, right, clips in ((RARE, rare, 2), (FREQUENT, frequent, 8)):
                fold = name[-1]
                writer.writerows(
                    (f"{fold}/{gloss}/{number}", f"s{fold}", gloss, gloss if number < right else "other")
                    for number in range(clips)
                )
        return tmp_path / name

    return make


def test_each_fold_has_what_did_best_on_the_others_signers(make_run):
    runs = {
        # Fold 0 is easy for "small", folds 1 and 2 are easy for "large".
        "small": {
            f"fold {fold}": make_run(f"small{fold}", *right) for fold, right in enumerate([(2, 8), (1, 4), (1, 4)])
        },
        "large": {
            f"fold {fold}": make_run(f"large{fold}", *right) for fold, right in enumerate([(0, 0), (2, 6), (1, 4)])
        },
        "other": {f"fold {fold}": make_run(f"other{fold}", 2, 8) for fold in range(3)},
    }
    found = choose(runs, {"ours": ["small", "large"]})
    assert list(found) == ["ours", "other"]
    assert found["ours"] == {
        "fold 0": runs["large"]["fold 0"],  # by folds 1 and 2, though it is all wrong in this one
        "fold 1": runs["small"]["fold 1"],
        "fold 2": runs["small"]["fold 2"],
    }
    assert found["other"] == runs["other"]
    assert choose(runs, {}) == runs


def test_rare_glosses_count_as_much(make_run):
    runs = {
        "rare": {"fold 0": make_run("r0", 0, 0), "fold 1": make_run("r1", 2, 4)},
        "frequent": {"fold 0": make_run("f0", 0, 0), "fold 1": make_run("f1", 0, 8)},
    }
    assert choose(runs, {"ours": ["frequent", "rare"]})["ours"]["fold 0"] == runs["rare"]["fold 0"]


def test_choices_name_configurations():
    assert parse_choices(["ours=a,b", "theirs=c, d"], list("abcde")) == {"ours": ["a", "b"], "theirs": ["c", "d"]}
    for text, fault in (("ours=a", "two names"), ("a,b", "two names"), ("ours=a,z", "z is not the name")):
        with pytest.raises(UserError, match=fault):
            parse_choices([text], list("abc"))
    with pytest.raises(UserError, match="b is named twice"):
        parse_choices(["ours=a,b", "theirs=b,c"], list("abc"))
