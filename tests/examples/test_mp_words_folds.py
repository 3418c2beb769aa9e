import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from divisions import list_clips, random_divisions, random_parts, signer_divisions
from mp_words_folds import TABLE, main, make_parts
from sign_keras.config import load_config
from sign_keras.studies import trainings
from sign_keras.studies.trainings import expected_minutes
from signer_folds import NUM_FOLDS, read_folds
from tests.conftest import REPOSITORY
from tests.examples.conftest import STUDY_SIGNERS, edit, read_records
from tfrecords_tools.dataset_info import DatasetInfo

CONFIGS = [
    REPOSITORY / "configs" / f"{name}.yaml" for name in ("mp_words_tutorial_lstm", "mp_words_conv_transformer")
]
NAMES = [path.stem for path in CONFIGS]


def test_every_signer_is_tested_once_and_is_in_one_split():
    _, places = read_folds(TABLE)
    divisions = signer_divisions(places, range(NUM_FOLDS))
    tested = Counter[str]()
    for division in divisions.values():
        assert division.split_of.keys() == places.keys()
        assert Counter(division.split_of.values()) == {"train": 28, "validation": 4, "test": 8}
        tested.update(signer for signer, split in division.split_of.items() if split == "test")
    assert tested == dict.fromkeys(places, 1)
    assert divisions["fold 2"].name == "fold_2"


def test_random_folds_test_every_clip_once_and_know_the_people(study_input):
    clips = list_clips(study_input)
    parts = random_parts(clips)
    signer_of = {name: signer for signer, of_signer in clips.glosses.items() for name in of_signer}
    tested = Counter[str]()
    for division in random_divisions(range(NUM_FOLDS)).values():
        assert division.split_of.keys() == parts.keys()
        splits = {"train": set(), "validation": set(), "test": set()}
        for part, split in division.split_of.items():
            splits[split] |= parts[part].keys()
        assert {split: len(names) for split, names in splits.items()} == {"train": 42, "validation": 6, "test": 12}
        assert set.union(*splits.values()) == signer_of.keys()
        trained = {signer_of[name] for name in splits["train"]}
        assert all(signer_of[name] in trained for name in splits["test"])
        tested.update(splits["test"])
    assert tested == dict.fromkeys(signer_of, 1)
    per_part = [Counter(glosses.values()) for glosses in parts.values()]
    assert all(counts == per_part[0] for counts in per_part)


def test_clips_of_a_random_part(study_input, study_output, tmp_path):
    parts = {"part_3": random_parts(list_clips(study_input))["part_3"]}
    label_map = study_output / "label_map.json"
    folders = make_parts(study_input, list_clips(study_input), parts, tmp_path, label_map, workers=1)
    records = read_records(folders["part_3"])
    assert {name: record["glosses"][0] for name, record in records.items()} == parts["part_3"]
    assert len({record["signer"] for record in records.values()}) > 1


def test_signers_who_are_kept_back_stay_out(study_input, study_output):
    clips = list_clips(study_input)
    assert [signer.name for signer in clips.signers] == [name for name in STUDY_SIGNERS if name != "kept back"]
    assert "rare" not in {gloss for glosses in clips.glosses.values() for gloss in glosses.values()}
    assert not (study_output / "signers" / "kept back").exists()


def test_records_are_made_again_where_the_input_changed(study_input, study_output, tmp_path, capsys):
    folder, pool = Path(shutil.copytree(study_input, tmp_path / "input")), tmp_path / "pool"
    clips = list_clips(folder)
    parts = {"s3": clips.glosses["s3"]}
    shutil.copytree(study_output / "signers" / "s3", pool / "s3")
    os.utime(pool / "s3" / "dataset_info.json")
    make_parts(folder, clips, parts, pool, study_output / "label_map.json", workers=1)
    assert capsys.readouterr().out == ""
    os.utime(folder / "s3.npz", (2e9, 2e9))
    make_parts(folder, clips, parts, pool, study_output / "label_map.json", workers=1)
    assert "records of s3 (1 of 1)" in capsys.readouterr().out


def write_run(command: list[str]) -> None:
    """What a training leaves behind; every clip of the tested split is taken for "hello"."""
    run = Path(command[command.index("--run-dir") + 1])
    overrides = [command[place + 1] for place, text in enumerate(command) if text == "--set"]
    config = load_config(Path(command[command.index("--config") + 1]), overrides)
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["media_id", "signer", "gloss", "predicted", "probability", "correct"])
        for name, record in read_records(config.records.directory).items():
            if record["split"] == config.evaluate.split:
                (gloss,) = record["glosses"]
                writer.writerow([name, record["signer"], gloss, "hello", 0.5, gloss == "hello"])
    (run / "history.csv").write_text("epoch,seconds\n1,90\n", encoding="utf-8")
    (run / "metrics.json").write_text("{}", encoding="utf-8")
    (run / "report.html").write_text("", encoding="utf-8")


@pytest.fixture
def commands(monkeypatch) -> list[list[str]]:
    """The commands that would have trained; each leaves an evaluated run behind."""
    made: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        made.append(command)
        write_run(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(trainings.subprocess, "run", run)
    return made


@pytest.fixture
def arguments(study_input, study_output, tmp_path) -> list[object]:
    return [
        *("--input", study_input, "--output", study_output, "--runs", tmp_path / "runs"),
        *("--table", tmp_path / "folds.csv", "--workers", 1),
    ]


def test_folds_from_input_to_tables(arguments, tmp_path, run_main, commands):
    status, out, err = run_main(main, *arguments, "--config", CONFIGS[0], "--config", CONFIGS[1])
    assert (status, err) == (0, "")
    runs = [Path(command[command.index("--run-dir") + 1]).name for command in commands]
    assert runs == [f"{name}_fold_{fold}" for fold in range(NUM_FOLDS) for name in NAMES]
    assert f"training 10 of 10: {tmp_path / 'runs' / runs[-1]}; about 1 min left" in out
    assert "| mp_words_tutorial_lstm | 60 | 10 | 0.500, " in out
    assert "Without s9 ě (suspect):" in out
    assert f"{NAMES[0]} less {NAMES[1]} | all | top-1 | +0.000 | +0.000 to +0.000 | 0.000" in out
    summary = json.loads((tmp_path / "runs" / "signer_folds.json").read_text(encoding="utf-8"))
    assert summary["configs"][NAMES[1]]["without_suspect"]["clips"] == 54
    assert set(summary["configs"][NAMES[0]]["all"]["per_signer"]) == STUDY_SIGNERS.keys() - {"kept back"}
    assert (tmp_path / "runs" / "signer_folds.md").read_text(encoding="utf-8") in out
    assert len(read_folds(tmp_path / "folds.csv")[0]) == 10


def test_what_is_done_is_skipped_and_what_was_stopped_goes_on(arguments, tmp_path, run_main, commands):
    arguments = [*arguments, "--config", CONFIGS[0], "--folds", 1, 3]
    assert run_main(main, *arguments)[0] == 0
    assert len(commands) == 2
    assert all("--resume" not in command for command in commands)
    commands.clear()
    assert "2 of 2 trainings are done already" in run_main(main, *arguments)[1]
    assert commands == []
    # Killed between two of the evaluation's files.
    (tmp_path / "runs" / f"{NAMES[0]}_fold_3" / "report.html").unlink()
    status, out, _ = run_main(main, *arguments)
    assert status == 0
    assert [command[-1] for command in commands] == ["--resume"]
    assert "1 of 2 trainings are done already" in out
    assert "Signer folds: fold 1, fold 3" in out


def test_another_configuration_is_refused_before_anything_is_trained(arguments, run_main, commands):
    assert run_main(main, *arguments, "--config", CONFIGS[0], "--folds", 4)[0] == 0
    commands.clear()
    status, _, err = run_main(main, *arguments, "--config", CONFIGS[0], "--set", "train.epochs=3")
    assert status == 2
    assert "mp_words_tutorial_lstm_fold_4: was begun with another configuration" in err
    assert err.count("\n") == 1
    assert commands == []


def test_a_training_that_fails_stops_the_rest(arguments, run_main, monkeypatch):
    monkeypatch.setattr(trainings.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 2))
    status, _, err = run_main(main, *arguments, "--config", CONFIGS[0])
    assert status == 2
    assert "mp_words_tutorial_lstm_fold_0: the training ended with status 2" in err


def test_fixed_split_with_several_seeds(arguments, tmp_path, run_main, commands):
    status, out, err = run_main(main, *arguments, "--config", CONFIGS[0], "--fixed-split", "--seeds", 5, 7)
    assert (status, err) == (0, "")
    configs = [
        load_config(tmp_path / "runs" / f"{NAMES[0]}_fixed_split_seed_{seed}" / "config.yaml") for seed in (5, 7)
    ]
    assert [(config.seed, config.evaluate.split) for config in configs] == [(5, "validation"), (7, "validation")]
    assert configs[0].export.formats == ()
    assert "| mp_words_tutorial_lstm | 12 | 2 | 0.500, " in out
    summary = json.loads((tmp_path / "runs" / "fixed_split.json").read_text(encoding="utf-8"))
    assert list(summary["configs"][NAMES[0]]["trainings"]) == ["seed 5", "seed 7"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seeds", 1], "--seeds: only with --fixed-split"),
        (["--fixed-split", "--folds", 1], "--folds: --fixed-split has none"),
        (["--config", CONFIGS[0], "--config", CONFIGS[0], "--config", "copy.yaml"], "are called mp_words_tutorial"),
        (["--config", CONFIGS[0], "--set", "evaluate.split=train"], "sets records and evaluate.split itself"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--table", TABLE], "status or number of clips of signer s0 than the input"),
    ],
)
def test_wrong_usage_is_refused_in_a_line(arguments, tmp_path, run_main, monkeypatch, more, message):
    monkeypatch.chdir(tmp_path)
    shutil.copy(CONFIGS[0], "copy.yaml")
    status, _, err = run_main(main, *arguments, *more)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_table_with_more_signers_is_refused(arguments, study_input, tmp_path, run_main):
    assert run_main(main, *arguments)[0] == 0  # writes the table, and no run
    edit(tmp_path / "folds.csv", "\ns0,", "\ngone,ok,0,,1,1\ns0,")
    status, _, err = run_main(main, *arguments)
    assert status == 2
    assert "lists signer gone, of whom the input has no clip" in err


def test_a_clip_that_cannot_be_read_stops_the_study(study_input, tmp_path, run_main):
    folder = Path(shutil.copytree(study_input, tmp_path / "input"))
    (folder / "s0.npz").write_bytes(b"no archive")
    output = ("--output", tmp_path / "out", "--runs", tmp_path / "runs", "--table", tmp_path / "folds.csv")
    status, _, err = run_main(main, "--input", folder, *output, "--workers", 1)
    assert status == 2
    assert err.count("\n") == 1
    assert "s0.npz: is no .npz archive" in err


def test_an_input_without_clips_is_refused(tmp_path, study_input, run_main):
    folder = Path(shutil.copytree(study_input, tmp_path / "input"))
    text = (
        (folder / "splits.csv").read_text(encoding="utf-8").replace(",train,", ",test,").replace(",val,", ",test,")
    )
    (folder / "splits.csv").write_text(text, encoding="utf-8")
    status, _, err = run_main(main, "--input", folder, "--output", tmp_path / "out", "--runs", tmp_path / "runs")
    assert status == 2
    assert "holds no clip of a common word by a signer of training or validation" in err
    assert not (tmp_path / "out").exists()


def test_expected_minutes_go_by_configuration():
    assert expected_minutes({}, ["a", "b"]) == 0
    assert expected_minutes({"a": [2, 4]}, ["a", "b"]) == 6
    assert expected_minutes({"a": [2, 4], "b": [9]}, ["a", "b", "b", "c"]) == 3 + 9 + 9 + 6


def test_help_has_an_example():
    result = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / "mp_words_folds.py", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "python examples/mp_words_folds.py --input mp_words --output data/mp_words_folds" in result.stdout


@pytest.mark.slow
def test_a_fold_is_trained(arguments, tmp_path, run_main):
    status, out, _ = run_main(
        main,
        *arguments,
        *("--config", CONFIGS[0], "--folds", 2, "--set", "train.epochs=1", "--set", "model.units=[8]"),
    )
    assert status == 0
    assert "| mp_words_tutorial_lstm | 12 | 2 | " in out
    info = DatasetInfo.load(tmp_path / "runs" / f"{NAMES[0]}_fold_2")
    assert len(info.splits["train"].signers) == 7
