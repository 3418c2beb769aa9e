import csv
import json
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from examples import digits
from examples.digits import NUM_FOLDS, deal_parts, find_photographs, format_table, main, read_fold, with_splits
from sign_keras.studies import trainings
from tests.conftest import REPOSITORY
from tests.examples.conftest import read_records
from tfrecords_tools.clips import Clip

CONFIG = REPOSITORY / "configs" / "static_frame_classifier.yaml"
NUM_STUDENTS = 24


def write_photograph(folder: Path, digit: int, number: int) -> None:
    """A grey that tells the photograph, in the published layout."""
    (folder / str(digit)).mkdir(parents=True, exist_ok=True)
    image = np.full((20, 20, 3), number % 251, np.uint8)
    cv2.imwrite(str(folder / str(digit) / f"IMG_{number}.JPG"), image)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 students who sign 0 to 9 in turn, a fifth of the photographs missing; names of 3 and of 4 figures."""
    folder = tmp_path_factory.mktemp("photographs") / "digits"
    rng = np.random.default_rng(7)
    for student in range(NUM_STUDENTS):
        for digit in range(10):
            if digit == student % 10 or rng.random() > 0.2:
                write_photograph(folder, digit, 900 + 10 * student + digit)
    return folder


@pytest.fixture(scope="session")
def photographs(folder: Path) -> list[Clip]:
    return find_photographs(folder).clips


def camera_number(clip: Clip) -> int:
    return int(Path(clip.path).stem.removeprefix("IMG_"))


def splits_of(photographs: list[Clip], folds: str, fold: int) -> dict[str, list[Clip]]:
    by_split = defaultdict(list)
    for clip in with_splits(photographs, deal_parts(photographs, folds), fold):
        by_split[clip.split].append(clip)
    return by_split


def test_students_are_told_by_the_camera(photographs):
    assert [camera_number(clip) for clip in photographs] == sorted(camera_number(clip) for clip in photographs)
    found = {clip.media_id: clip.signer for clip in photographs}
    wanted = {clip.media_id: f"student_{(camera_number(clip) - 900) // 10 + 1:03}" for clip in photographs}
    assert found == wanted


def test_a_photograph_taken_again_is_no_new_student(tmp_path):
    # (digit, number): 3 and 4 twice, 2 before 1; then the next student, who begins with 1
    first = [(0, 100), (2, 101), (1, 102), (3, 103), (3, 104), (4, 105), (4, 106), (5, 107), (9, 112)]
    second = [(1, 115), (2, 116)]
    for digit, number in first + second:
        write_photograph(tmp_path, digit, number)
    signers = [clip.signer for clip in find_photographs(tmp_path).clips]
    assert signers == ["student_001"] * len(first) + ["student_002"] * len(second)


@pytest.mark.parametrize("folds", ["block", "random"])
def test_every_photograph_is_tested_once(photographs, folds):
    tested = Counter[str]()
    for fold in range(NUM_FOLDS):
        splits = splits_of(photographs, folds, fold)
        tested.update(clip.media_id for clip in splits["test"])
        assert len(splits["test"]) == pytest.approx(len(photographs) / 5, abs=10)
        assert len(splits["validation"]) == pytest.approx(len(photographs) / 10, abs=10)
        assert sum(map(len, splits.values())) == len(photographs)
    assert tested == Counter({clip.media_id: 1 for clip in photographs})


def test_blocks_keep_students_apart_and_are_contiguous(photographs):
    students = list(dict.fromkeys(clip.signer for clip in photographs))
    for fold in range(NUM_FOLDS):
        signers = {
            split: {clip.signer for clip in clips} for split, clips in splits_of(photographs, "block", fold).items()
        }
        assert sum(len(names) for names in signers.values()) == NUM_STUDENTS
        for split in ("validation", "test"):
            places = [students.index(signer) for signer in signers[split]]
            assert max(places) - min(places) == len(places) - 1


def test_random_folds_do_not(photographs):
    splits = splits_of(photographs, "random", 0)
    trained = {clip.signer for clip in splits["train"]}
    assert sum(clip.signer in trained for clip in splits["test"]) > 0.9 * len(splits["test"])


def test_records_hold_the_folds(folder, photographs, tmp_path, run_main):
    status, out, err = run_main(main, "--input", folder, "--output", tmp_path / "out", "--fold", 3, "--workers", 1)
    assert (status, err) == (0, "")
    records = read_records(tmp_path / "out" / "records" / "block_3")
    splits = splits_of(photographs, "block", 3)
    wanted = {clip.media_id: (split, clip.signer) for split, clips in splits.items() for clip in clips}
    assert {name: (record["split"], record["signer"]) for name, record in records.items()} == wanted
    assert "photographs of" in out


def test_a_broken_photograph_is_listed(folder, tmp_path, run_main):
    broken = tmp_path / "digits"
    for path in folder.rglob("*.JPG"):
        (broken / path.parent.name).mkdir(parents=True, exist_ok=True)
        (broken / path.parent.name / path.name).write_bytes(path.read_bytes())
    victim = next(broken.rglob("*.JPG"))
    victim.write_bytes(b"no picture")
    status, out, _ = run_main(main, "--input", broken, "--output", tmp_path / "out", "--fold", 0, "--workers", 1)
    assert status == 1
    assert "1 skipped: see" in out
    assert str(victim) in (tmp_path / "out" / "records" / "block_0" / "skipped.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hello/IMG_1.JPG", "lies in folder 'hello'; expected folders 0 to 9"),
        ("3/three.JPG", "has no number at the end of its name"),
        ("3/IMG_3.JPG", "1 photographs of too few students for 10 parts"),
    ],
)
def test_other_folders_are_refused(tmp_path, run_main, name, message):
    path = tmp_path / "digits" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    status, _, err = run_main(main, "--input", tmp_path / "digits", "--output", tmp_path / "out")
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def write_run(run: Path, correct: dict[str, list[bool]], split: str = "test") -> None:
    """What an evaluated run holds, as far as the table takes it; ``correct`` by student."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["media_id", "signer", "gloss", "predicted", "probability", "correct"])
        for signer, answers in correct.items():
            for number, right in enumerate(answers):
                writer.writerow([f"{signer}/{number}", signer, "3", "3" if right else "8", 0.9, str(right)])
    (run / "history.csv").write_text("epoch,seconds\n1,90\n2,30\n", encoding="utf-8")
    (run / "metrics.json").write_text(json.dumps({"split": split}), encoding="utf-8")
    (run / "report.html").touch()


def test_table_has_the_mean_of_the_folds(tmp_path):
    write_run(tmp_path / "a", {"s1": [True, True], "s2": [True, False]})  # 3 of 4
    write_run(tmp_path / "b", {"s3": [True] * 6})  # 6 of 6
    lines = format_table({0: read_fold(tmp_path / "a"), 1: read_fold(tmp_path / "b")}).splitlines()
    assert lines[1].split()[:4] == ["0", "4", "2", "0.750"]
    assert lines[1].split()[-2:] == ["2", "2.0"]
    assert lines[2].split()[:4] == ["1", "6", "1", "1.000"]
    assert "mean test top-1 of 2 fold(s): 0.8750; of all 10 photographs 0.9000" in lines[3]
    assert "over 3 students" in lines[3]


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """The commands that would have trained; each leaves an evaluated run behind. No records are made."""
    given: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        given.append(command)
        directory = Path(command[command.index("--run-dir") + 1])
        write_run(directory, {"student_001": [True, False], "student_002": [True, True]})
        overrides = [command[place + 1] for place, text in enumerate(command) if text == "--set"]
        config = digits.load_config(Path(command[command.index("--config") + 1]), overrides)
        (directory / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(trainings.subprocess, "run", run)
    monkeypatch.setattr(digits, "make_records", lambda *arguments: 0)
    return given


def test_folds_are_trained_once_and_interrupted_ones_resumed(folder, tmp_path, run_main, commands):
    arguments = ["--input", folder, "--output", tmp_path, "--config", CONFIG, "--folds", "random", "--workers", 1]
    status, out, _ = run_main(main, *arguments)
    assert status == 0
    assert [command[command.index("--run-dir") + 1] for command in commands] == [
        str(tmp_path / "runs" / f"static_frame_classifier_random_{fold}") for fold in range(NUM_FOLDS)
    ]
    assert all("--resume" not in command for command in commands)
    assert f"records.directory={tmp_path / 'records' / 'random_0'}" in commands[0]
    assert "mean test top-1 of 5 fold(s): 0.7500" in out

    commands.clear()
    (tmp_path / "runs" / "static_frame_classifier_random_2" / "metrics.json").unlink()
    assert run_main(main, *arguments)[0] == 0
    assert [command[-1] for command in commands] == ["--resume"]
    assert "random_2" in " ".join(commands[0])


def test_another_configuration_is_not_taken_for_the_same(folder, tmp_path, run_main, commands):
    arguments = ["--input", folder, "--output", tmp_path, "--config", CONFIG, "--fold", 1, "--workers", 1]
    assert run_main(main, *arguments)[0] == 0
    status, _, err = run_main(main, *arguments, "--set", "train.epochs=3")
    assert status == 2
    assert "static_frame_classifier_block_1: was begun with another configuration" in err
    assert len(commands) == 1


def test_a_training_that_fails_stops_the_rest(folder, tmp_path, run_main, monkeypatch):
    monkeypatch.setattr(trainings.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 2))
    status, _, err = run_main(main, "--input", folder, "--output", tmp_path, "--config", CONFIG, "--workers", 1)
    assert status == 2
    assert "static_frame_classifier_block_0: the training ended with status 2" in err


def test_help_has_an_example(run_main):
    status, out, _ = run_main(main, "--help")
    assert status == 0
    assert "python examples/digits.py --input digits --output data/digits --config" in out


@pytest.mark.slow
def test_a_fold_from_photographs_to_the_table(folder, tmp_path, run_main):
    status, out, err = run_main(
        main,
        *("--input", folder, "--output", tmp_path, "--config", CONFIG, "--fold", 4, "--workers", 1),
        *("--set", "train.epochs=1", "--set", "sampling.height=32", "--set", "sampling.width=32"),
    )
    assert status == 0, err
    assert "mean test top-1 of 1 fold(s)" in out
    metrics = json.loads((tmp_path / "runs/static_frame_classifier_block_4/metrics.json").read_text())
    assert metrics["interval_over"] == "signers"
