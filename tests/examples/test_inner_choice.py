import pytest

from inner_choice import choose, parse_choices, validation_score
from tfrecords_tools.command_line import UserError


@pytest.fixture
def make_run(tmp_path):
    def make(name, *epochs):
        folder = tmp_path / name
        folder.mkdir()
        rows = [f"{number},{top1},{loss}" for number, (top1, loss) in enumerate(epochs, start=1)]
        (folder / "history.csv").write_text("\n".join(["epoch,val_top1,val_loss", *rows]))
        return folder

    return make


def test_a_runs_best_epoch_counts(make_run):
    assert validation_score(make_run("a", (0.5, 1.0), (0.8, 0.9), (0.8, 0.7), (0.6, 0.1))) == (0.8, -0.7)


def test_each_fold_has_what_its_validation_signers_did_best_with(make_run):
    runs = {
        "small": {"fold 0": make_run("s0", (0.9, 1.0)), "fold 1": make_run("s1", (0.7, 0.5))},
        "large": {"fold 0": make_run("l0", (0.8, 0.1)), "fold 1": make_run("l1", (0.7, 0.4))},
        "other": {"fold 0": make_run("o0", (1.0, 0.0)), "fold 1": make_run("o1", (1.0, 0.0))},
    }
    found = choose(runs, {"ours": ["small", "large"]})
    assert list(found) == ["ours", "other"]
    assert found["ours"] == {"fold 0": runs["small"]["fold 0"], "fold 1": runs["large"]["fold 1"]}
    assert found["other"] == runs["other"]
    assert choose(runs, {}) == runs


def test_choices_name_configurations():
    assert parse_choices(["ours=a,b", "theirs=c, d"], list("abcde")) == {"ours": ["a", "b"], "theirs": ["c", "d"]}
    for text, fault in (("ours=a", "two names"), ("a,b", "two names"), ("ours=a,z", "z is not the name")):
        with pytest.raises(UserError, match=fault):
            parse_choices([text], list("abc"))
    with pytest.raises(UserError, match="b is named twice"):
        parse_choices(["ours=a,b", "theirs=b,c"], list("abc"))
