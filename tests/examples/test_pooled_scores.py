import csv
import json
from pathlib import Path

import pytest

from pooled_scores import format_markdown, summarise
from tfrecords_tools.command_line import UserError


def write_run(run: Path, answers: list[tuple[str, str, str]], name: str = "") -> Path:
    """What an evaluated run holds, as far as tables take it: (signer, gloss, predicted) of each clip."""
    run.mkdir(parents=True)
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["media_id", "signer", "gloss", "predicted", "probability", "correct"])
        for number, (signer, gloss, predicted) in enumerate(answers):
            writer.writerow([f"{name}{number}", signer, gloss, predicted, 0.9, str(gloss == predicted).lower()])
    (run / "history.csv").write_text("epoch,seconds\n1,90\n2,30\n", encoding="utf-8")
    return run


@pytest.fixture
def folds(tmp_path: Path) -> dict[str, dict[str, Path]]:
    """Two configurations on two folds: a is right in 3 of 4 and 1 of 2 clips, b in all."""
    first = [("anna", "yes", "yes"), ("anna", "no", "no"), ("bob", "yes", "no"), ("bob", "no", "no")]
    second = [("čeněk", "yes", "no"), ("čeněk", "yes", "yes")]
    runs = {}
    for config in ("a", "b"):
        for fold, answers in enumerate((first, second)):
            said = [(s, gloss, gloss if config == "b" else predicted) for s, gloss, predicted in answers]
            run = write_run(tmp_path / f"{config}_{fold}", said, name=f"{fold}/")
            runs.setdefault(config, {})[f"fold {fold}"] = run
    return runs


def test_folds_are_pooled(folds):
    summary = summarise(folds, suspect=set())
    scores = summary["configs"]["a"]["all"]
    assert (scores["clips"], scores["signers"]) == (6, 3)
    assert scores["top1"] == pytest.approx(4 / 6)
    assert scores["macro_recall"] == pytest.approx((2 / 4 + 2 / 2) / 2)
    assert scores["per_signer"] == {
        "anna": {"clips": 2, "correct": 1.0},
        "bob": {"clips": 2, "correct": 0.5},
        "čeněk": {"clips": 2, "correct": 0.5},
    }
    assert scores["per_gloss"]["yes"] == {"clips": 4, "correct": 0.5}
    assert scores["top1_interval"][0] < 4 / 6 < scores["top1_interval"][1]
    trainings = summary["configs"]["a"]["trainings"]
    assert [trainings[label]["top1"] for label in ("fold 0", "fold 1")] == [0.75, 0.5]
    assert (trainings["fold 0"]["epochs"], trainings["fold 0"]["minutes"]) == (2, 2.0)
    assert "without_suspect" not in summary["configs"]["a"]
    json.dumps(summary)


def test_differences_are_of_the_first_less_the_second(folds):
    (pair,) = summarise(folds, suspect=set())["differences"]
    assert (pair["first"], pair["second"], pair["signers"]) == ("a", "b", "all")
    assert pair["top1"]["difference"] == pytest.approx(-2 / 6)
    assert pair["macro_recall"]["difference"] == pytest.approx(-1 / 4)
    assert pair["top1"]["share_above"] == 0


def test_suspect_signers_are_left_out_as_well(folds):
    summary = summarise(folds, suspect={"bob", "nobody"})
    assert summary["suspect"] == ["bob"]
    scores = summary["configs"]["a"]["without_suspect"]
    assert (scores["clips"], scores["top1"], list(scores["per_signer"])) == (4, 0.75, ["anna", "čeněk"])
    assert summary["configs"]["a"]["all"]["clips"] == 6
    assert [pair["signers"] for pair in summary["differences"]] == ["all", "without_suspect"]
    assert summary["differences"][1]["top1"]["difference"] == pytest.approx(-1 / 4)


def test_all_signers_may_be_suspect(folds):
    summary = summarise(folds, suspect={"anna", "bob", "čeněk"})
    assert "without_suspect" not in summary["configs"]["a"]
    assert format_markdown(summary, "Folds")


def test_seeds_are_averaged_clip_by_clip(tmp_path):
    one = write_run(tmp_path / "1", [("anna", "yes", "yes"), ("bob", "no", "yes")])
    two = write_run(tmp_path / "2", [("anna", "yes", "yes"), ("bob", "no", "no")])
    summary = summarise({"a": {"seed 1": one, "seed 2": two}}, suspect=set())
    assert summary["configs"]["a"]["all"]["top1"] == pytest.approx(0.75)
    assert "| a | top-1 | 0.750 | 0.500 | 1.000 |" in format_markdown(summary, "Seeds")


def test_markdown_says_what_was_found(folds):
    text = format_markdown(summarise(folds, suspect={"bob"}), "Signer folds")
    low, high = summarise(folds, suspect=set())["configs"]["a"]["all"]["top1_interval"]
    assert text.startswith("## Signer folds\n")
    assert f"| a | 6 | 3 | 0.667, {low:.3f} to {high:.3f} | 0.750, " in text
    assert "Without bob (suspect):" in text
    assert "| a | 4 | 2 | 0.750, " in text
    assert "| a less b | all | top-1 | -0.333 | " in text
    assert "| bob (suspect) | 2 | 0.500 | 1.000 |" in text
    assert "| yes | 4 | 0.500 | 1.000 |" in text
    widths = {len(block.splitlines()[1].split("|")) for block in text.split("\n\n") if block.startswith("|")}
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    assert len(widths) > 1


def test_different_clips_are_not_compared(folds, tmp_path):
    folds["b"]["fold 1"] = write_run(tmp_path / "other", [("dora", "yes", "yes")])
    with pytest.raises(UserError, match="a and b were tested on different clips"):
        summarise(folds, suspect=set())
