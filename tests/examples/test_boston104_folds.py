import csv
import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from examples import boston104_folds
from examples.boston104_folds import (
    NUM_FOLDS,
    deal_parts,
    format_markdown,
    list_sentences,
    main,
    read_answers,
    summarise,
    with_splits,
)
from sign_keras.ctc.arpa import read_arpa
from sign_keras.studies import trainings
from tests.conftest import REPOSITORY
from tests.examples.conftest import edit, read_records, write_table
from tfrecords_tools.array_records import ArrayClip

CONFIG = REPOSITORY / "configs" / "boston104_keypoint_ctc.yaml"
NUM_SENTENCES = 23
NUM_FRAMES = 24
SPLITS = {2: "validation", 4: "test"}  # of the others: train


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 sentences by two signers; each ends with a gloss of its own, but two are the same."""
    folder = tmp_path_factory.mktemp("sentences") / "boston104"
    folder.mkdir()
    rows: dict[str, list[tuple[object, ...]]] = {"train": [], "test": []}
    rng, frames = np.random.default_rng(5), []
    for video in range(NUM_SENTENCES + 1):
        signer = "woman-1" if video % 3 else "man-1"
        words = ("JOHN", "LIKE", f"THING-{min(video, NUM_SENTENCES - 2)}")
        of_split = rows["test" if video == NUM_SENTENCES else "train"]
        of_split += [(video, signer, word, 8 * place, 8 * place + 7) for place, word in enumerate(words)]
        frames += [(video, frame, *rng.integers(50, 250, 6)) for frame in range(NUM_FRAMES)]
    for name, words in rows.items():
        write_table(folder / f"{name}_words.csv", "video,speaker,word,startframe,endframe", words)
    header = "video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y"
    write_table(folder / "hands_condensed.csv", header, frames)
    return folder


@pytest.fixture(scope="session")
def sentences(folder: Path) -> list[ArrayClip]:
    return list_sentences(folder)


def test_every_sentence_is_tested_once_and_the_test_stays_out(sentences):
    assert len(sentences) == NUM_SENTENCES
    tested = Counter[str]()
    for fold in range(NUM_FOLDS):
        splits = Counter(clip.columns["split"] for clip in with_splits(sentences, fold))
        assert splits.total() == NUM_SENTENCES
        assert splits["test"] in (4, 5, 6)
        assert splits["validation"] in (2, 3)
        tested.update(clip.path for clip in with_splits(sentences, fold) if clip.columns["split"] == "test")
    assert tested == Counter({clip.path: 1 for clip in sentences})


def test_signers_are_spread_evenly_and_order_does_not_matter(sentences):
    parts = deal_parts(sentences)
    for signer in ("woman-1", "man-1"):
        of_signer = [part for clip, part in zip(sentences, parts, strict=True) if clip.columns["signer"] == signer]
        counts = np.bincount(of_signer, minlength=10)
        assert counts.max() - counts.min() <= 1
    assert deal_parts(sentences[::-1]) == parts[::-1]


def test_records_hold_the_fold_and_the_language_model_its_training_alone(folder, sentences, tmp_path, run_main):
    arguments = ["--input", folder, "--output", tmp_path, "--folds", 3, "--spliced", 4, "--workers", 1]
    status, out, err = run_main(main, *arguments)
    assert (status, err) == (0, "")
    records = read_records(tmp_path / "fold_3")
    assert sum(name.startswith("spliced") for name in records) == 4
    dealt = {clip.path: clip.columns for clip in with_splits(sentences, 3)}
    training = [columns["glosses"].split() for columns in dealt.values() if columns["split"] == "train"]
    known = {gloss for sentence in training for gloss in sentence}
    for name, record in records.items():
        if name in dealt:
            assert record["split"] == dealt[name]["split"]
        else:
            assert record["split"] == "train"
            assert set(record["glosses"]) <= known
    model = read_arpa(tmp_path / "fold_3" / "language_model.arpa")
    assert {gram[0] for gram in model.grams[0]} == known | {"<s>", "</s>", "<unk>"}
    assert f"train {len(training) + 4}, " in out


def write_run(run: Path, answers: list[tuple[str, str]]) -> None:
    """What an evaluated run holds, as far as the table takes it; (signed, recognised)."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["media_id", "signer", "reference", "hypothesis"])
        writer.writerows((f"{number}.npy", "man-1", *answer) for number, answer in enumerate(answers))
    (run / "metrics.json").write_text(json.dumps({"decoding": {"weight": 0.5, "gloss_bonus": 2.0}}))
    (run / "report.html").touch()


def test_errors_are_pooled_and_known_sentences_apart(tmp_path):
    training = [ArrayClip("t.npy", np.zeros((1, 3, 2)), {"glosses": "JOHN LIKE MARY", "split": "train"})]
    write_run(tmp_path / "0", [("JOHN LIKE MARY", "JOHN LIKE MARY"), ("MARY LIKE BOOK", "MARY BOOK")])
    write_run(tmp_path / "1", [("JOHN", "JOHN JOHN JOHN")])
    answers = [*read_answers(tmp_path / "0", 0, training), *read_answers(tmp_path / "1", 1, training)]
    summary = summarise(answers)
    assert list(summary) == ["fold 0", "fold 1", "all", "known sentences", "new sentences"]
    rates = {name: part["word_error_rate"]["wer"] for name, part in summary.items()}
    assert rates == pytest.approx(
        {"fold 0": 1 / 6, "fold 1": 2, "all": 3 / 7, "known sentences": 0, "new sentences": 3 / 4}
    )
    assert summary["all"]["word_error_rate"]["error_types"] == {
        "substitutions": 0,
        "deletions": 1,
        "insertions": 2,
    }
    assert (summary["all"]["right"], summary["all"]["new_glosses"]) == (1, 1)
    text = format_markdown(summary, {"fold 0": {"weight": 0.5, "gloss_bonus": 2.0}})
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert len({len(row) for row in rows}) == 1
    assert rows[2][0] == "fold 0"
    assert rows[2][-1] == "0.5, 2"
    assert rows[4][:3] == ["all", "3", "7, 1"]
    assert rows[4][3].startswith("0.429, ")
    assert rows[4][4] == "0, 1, 2"


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """The commands that would have trained; each leaves an evaluated run behind. No records are made."""
    given: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        given.append(command)
        directory = Path(command[command.index("--run-dir") + 1])
        write_run(directory, [("JOHN LIKE THING-1", "JOHN")])
        overrides = [command[place + 1] for place, text in enumerate(command) if text == "--set"]
        config = boston104_folds.load_config(Path(command[command.index("--config") + 1]), overrides)
        (directory / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(trainings.subprocess, "run", run)
    monkeypatch.setattr(boston104_folds, "make_records", lambda *arguments: None)
    return given


def test_folds_are_trained_once_on_their_own_records(folder, tmp_path, run_main, commands):
    arguments = ["--input", folder, "--output", tmp_path / "out", "--runs", tmp_path / "runs", "--config", CONFIG]
    status, out, _ = run_main(main, *arguments)
    assert status == 0
    assert len(commands) == NUM_FOLDS
    fold_0 = tmp_path / "out" / "fold_0"
    assert f"records.directory={fold_0}" in commands[0]
    assert f"evaluate.decoding.language_model={fold_0 / 'language_model.arpa'}" in commands[0]
    assert "evaluate.split=test" in commands[0]
    content = json.loads((tmp_path / "runs" / "boston104_keypoint_ctc_folds.json").read_text())
    assert content["scores"]["all"]["word_error_rate"]["wer"] == pytest.approx(2 / 3)
    assert (tmp_path / "runs" / "boston104_keypoint_ctc_folds.md").read_text() in out
    assert run_main(main, *arguments)[0] == 0
    assert len(commands) == NUM_FOLDS


def test_bad_arguments_and_input(folder, tmp_path, run_main):
    own = ["--input", folder, "--output", tmp_path / "out", "--config", CONFIG]
    for arguments, message in (
        (["--set", "evaluate.decoding.language_model=none"], "this command sets records and evaluate.decoding"),
        (["--spliced", "-1"], "--spliced -1: must be at least 0"),
    ):
        status, _, err = run_main(main, *own, *arguments)
        assert status == 2
        assert message in err
        assert err.count("\n") == 1


def test_a_sentence_that_cannot_be_read_is_an_error(folder, tmp_path, run_main):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    edit(broken / "train_words.csv", "0,man-1,JOHN,0,7", "0,man-1,JOHN,7,0")
    status, _, err = run_main(main, "--input", broken, "--output", tmp_path / "out")
    assert status == 2
    assert "video 0: line 2: frames 7 to 0; every fold needs every sentence" in err
