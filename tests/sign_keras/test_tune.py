import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from sign_keras import tune
from sign_keras.config import load_config
from sign_keras.studies import trainings
from sign_keras.studies.trainings import as_overrides
from sign_keras.tuning.workers import ADDRESS, NAME, PORT
from tests.conftest import REPOSITORY
from tests.sign_keras.tuning.toy_search import BASE, train_toy, write_records, write_search
from tfrecords_tools.journal import folder_lock

RATES = {"train.learning_rate": {"choice": [0.001, 0.01, 0.1, 0.0001]}}


@pytest.fixture
def search(tmp_path, run_main, monkeypatch):
    """``search(*arguments, **changes)``: the command with toy trainings; status, output, error output."""
    records = write_records(tmp_path / "records")
    made = []

    def train(command, **streams):
        made.append(command)
        return train_toy(command, **streams)

    monkeypatch.setattr(trainings, "subprocess", SimpleNamespace(run=train, STDOUT=subprocess.STDOUT))

    def run(*arguments, **changes):
        made.clear()
        file = write_search(tmp_path, **changes)
        where = ("--runs", tmp_path / "runs", "--set", f"records.directory={records}")
        return run_main(tune.main, "--config", file, *where, *arguments)

    run.made = made
    return run


@pytest.fixture
def unused_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def table(page):
    """The rows of a page's table, by trial."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    header, _, *rows = rows
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def test_the_best_of_a_search_is_a_configuration_to_train(search, tmp_path):
    status, out, error = search(space=RATES, search={"name": "grid", "seeds": [1, 2]})
    assert (status, error) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith("trial ")] == [
        f"trial {number}" for number in range(4)
    ]
    assert "trial 1: val_top1 0.9650 (9 of 9 epochs), best so far; learning_rate 0.01; " in out
    assert len(search.made) == 8
    page = (tmp_path / "runs/trials.md").read_text()
    assert page in out
    rows = table(page)
    assert list(rows) == ["1", "0", "2", "3"]
    assert (rows["1"]["val_top1"], rows["1"]["each seed"]) == ("0.9650", "0.9700, 0.9600")
    # Rounded, 39 and 38 of 40 clips are right; the first has one signer's clip more than the second has.
    assert rows["1"]["top-1, 95 % interval"].startswith("0.963, ")
    assert rows["0"]["difference from the first, 95 % interval"].startswith("-0.1")
    assert "From seed to seed, val_top1 of a trial varies by 0.0071" in page
    file = tmp_path / "runs/best.yaml"
    head = file.read_text().split("\n\n")[0]
    assert f"# The best of 4 trials of {tmp_path / 'search.yaml'}, number 1; its base is {BASE}." in head
    assert "Validation val_top1 0.9650 (mean of seeds 1, 2). That flatters: the trial was chosen by it." in head
    assert f"train --config {file}" in head
    best, base = load_config(file), load_config(BASE, [f"records.directory={tmp_path / 'records'}"])
    rate = base.train.model_copy(update={"learning_rate": 0.01})
    assert best == base.model_copy(update={"train": rate, "name": "keypoint_gru_tuned"})


def test_trials_that_cannot_be_told_apart_are_named(search, tmp_path):
    """A rate of 0.0100001 scores as 0.01 does; one of 0.0001 is worse for everybody."""
    rates = {"train.learning_rate": {"choice": [0.01, 0.0100001, 0.0001]}}
    page = search(space=rates, search={"name": "grid"})[1]
    assert "**Trial 0 cannot be told apart from trial 1: 1 of 2 that were compared with it.**" in page
    assert "from drawing the 4 signers of the 40 validation clips" in page
    assert table(page)["1"]["difference from the first, 95 % interval"] == "+0.000, +0.000 to +0.000"
    low, high = map(
        float, table(page)["2"]["difference from the first, 95 % interval"].split(", ")[1].split(" to ")
    )
    assert low <= high < 0


def test_an_order_by_loss_may_not_be_that_of_right_answers(search):
    """The made-up score taken for a loss: who has the lowest has the fewest right answers."""
    settings = {"train.epochs": 9, "train.monitor": "val_loss"}
    page = search(
        space={"train.learning_rate": {"choice": [0.01, 0.0001]}}, settings=settings, search={"name": "grid"}
    )[1]
    assert list(table(page)) == ["1", "0"]
    assert "compared by val_loss, less is better" in page
    assert "**Trial 1 can be told apart from all 1 that were compared with it.**" in page
    assert "By top-1, which is not what the order is by, trial 0 did better than the first." in page


def test_sentences_are_compared_by_word_error_rate(search, tmp_path):
    base, settings = REPOSITORY / "configs/keypoint_ctc.yaml", {"train.epochs": 9, "train.monitor": "val_wer"}
    rates = {"train.learning_rate": {"choice": [0.0001, 0.01]}}
    status, out, _ = search(base=str(base), settings=settings, space=rates, search={"name": "grid"})
    assert status == 0
    rows = table(out)
    assert list(rows) == ["1", "0"]
    assert (rows["1"]["val_wer"], rows["0"]["val_wer"]) == ("0.0300", "0.4180")
    assert rows["1"]["WER, 95 % interval"].startswith("0.025, ")
    assert rows["0"]["difference from the first, 95 % interval"].startswith("+0.400, ")
    assert "**Trial 1 can be told apart from all 1 that were compared with it.**" in out
    assert load_config(tmp_path / "runs/best.yaml").train.learning_rate == 0.01


def test_what_is_done_is_not_done_again(search, tmp_path):
    assert search("--max-trials", 2)[0] == 0
    first = len(search.made)
    # Killed while the second trial was evaluated.
    (tmp_path / "runs/trial_0001/seed_1/report.html").unlink()
    state = tmp_path / "runs/keras_tuner/oracle.json"
    state.write_text(state.read_text().replace('"ongoing_trials": {}', '"ongoing_trials": {"tuner0": "1"}'))
    trial = tmp_path / "runs/keras_tuner/trial_1/trial.json"
    trial.write_text(trial.read_text().replace("COMPLETED", "RUNNING"))
    status, out, _ = search()
    assert status == 0
    assert (first, len(search.made)) == (2, 3)
    assert "--resume" in search.made[0]
    assert not any("trial_0000" in argument for command in search.made for argument in command)
    assert sorted(table(out)) == ["0", "1", "2", "3"]
    assert search()[0] == 0
    assert search.made == []


def test_failed_trials_are_listed_and_the_search_goes_on(search, tmp_path):
    space = {"model.dropout": {"choice": [0.2, 0.9]}, "model.bidirectional": {"choice": [False, True]}}
    status, out, _ = search(space=space, search={"name": "grid"})
    assert status == 1
    reason = "the training ended with status 2; error: the loss became nan at step 7"
    assert out.count(f"failed: {tmp_path / 'runs/trial_0002/seed_1'}: {reason}; dropout 0.9") == 1
    assert f"- trial 3: {tmp_path / 'runs/trial_0003/seed_1'}: {reason}" in out
    assert "4 configurations, 2 of them failed" in out
    assert (tmp_path / "runs/best.yaml").exists()
    assert search(space=space, search={"name": "grid"})[0] == 1
    assert search.made == []


def test_values_that_do_not_go_together_fail_without_a_training(search):
    """8 heads do not divide 20, but 24, and 4 divide both."""
    base = REPOSITORY / "configs/keypoint_transformer.yaml"
    space = {"model.dim": {"choice": [24, 20]}, "model.heads": {"choice": [4, 8]}}
    status, out, _ = search(base=str(base), space=space, search={"name": "grid"})
    assert (status, len(search.made)) == (1, 3)
    assert out.count("heads: 8 do not divide dim 20; dim 20, heads 8") == 1


def test_a_search_that_cannot_work_stops(search, tmp_path):
    status, _, error = search(space={"model.dropout": {"choice": [0.9, 0.91, 0.92, 0.93]}}, search={"name": "grid"})
    assert status == 2
    assert len(search.made) == 3
    assert f"error: the first 3 trials failed, the last because: {tmp_path}" in error
    assert error.count("\n") == 1


def test_hyperband_goes_on_with_what_it_paused(search, tmp_path):
    rates = {"train.learning_rate": {"float": {"min": 0.001, "max": 0.1, "log": True}}}
    status, out, _ = search(space=rates, search={"name": "hyperband"})
    assert status == 0
    best = next(iter(table(out)))
    epochs = (tmp_path / f"runs/trial_{int(best):04d}/epochs.txt").read_text().splitlines()
    firsts = [int(line.split()[1].split("-")[0]) for line in epochs]
    lasts = [int(line.split()[1].split("-")[1]) for line in epochs]
    assert lasts[-1] == 9
    assert firsts == [1, *(last + 1 for last in lasts[:-1])]  # no epoch twice
    assert "(goes on with " in out
    # One row a configuration: nine, five and three, of which six went on.
    assert len(table(out)) == 17
    assert {row["epochs"] for row in table(out).values()} == {"1", "3", "9"}


def test_tensorboard_has_the_trials_as_hparams(search, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    space = RATES | {"model.units": {"choice": [[4], [8, 8]]}}
    search("--max-trials", 2, space=space, search={"name": "grid"})
    events = EventAccumulator(str(tmp_path / "runs/tensorboard/trial_0001"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = parse_session_start_info_plugin_data(content).hparams
    assert found["train.learning_rate"].number_value == 0.001
    assert found["model.units"].string_value == "[8, 8]"
    assert events.Tensors("val_top1")[0].step == 9
    root = EventAccumulator(str(tmp_path / "runs/tensorboard"))
    root.Reload()
    assert "_hparams_/experiment" in root.Tags()["tensors"]


def test_help_needs_no_tensorflow(assert_help_is_quick):
    assert_help_is_quick("sign_keras.tune")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({ADDRESS: "127.0.0.1"}, f"{PORT}: not set, but {ADDRESS} is"),
        ({ADDRESS: "127.0.0.1", PORT: "80"}, f"{NAME}: not set, but {ADDRESS} is"),
        ({ADDRESS: "127.0.0.1", PORT: "x", NAME: "chief"}, f"{PORT}=x: expected a port"),
        ({ADDRESS: "192.0.2.1", PORT: "4242", NAME: "chief"}, "cannot be listened on"),
    ],
)
def test_a_worker_that_is_not_fully_described_is_told_so(variables, message, search, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status, _, error = search()
    assert status == 2
    assert message in error
    assert error.count("\n") == 1


def start(folder, *arguments, **environment):
    """The command with toy trainings, as a process of its own."""
    command = [sys.executable, "-m", "tests.sign_keras.tuning.toy_search", "--config", str(folder / "search.yaml")]
    command += ["--runs", str(folder / "runs"), "--set", f"records.directory={folder / 'records'}", *arguments]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_a_chief_and_two_workers_share_a_search(tmp_path, unused_port):
    write_records(tmp_path / "records")
    write_search(tmp_path, search={"name": "random", "max_trials": 9})
    address = {ADDRESS: "127.0.0.1", PORT: str(unused_port)}
    processes = {name: start(tmp_path, **address, **{NAME: name}) for name in ("chief", "tuner0", "tuner1")}
    words = {name: process.communicate(timeout=400)[0] for name, process in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0, 0], words
    shares = [
        {line.split(":")[0] for line in words[name].splitlines() if line.startswith("trial ")}
        for name in ("tuner0", "tuner1")
    ]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == {f"trial {number}" for number in range(9)}
    assert len(table(words["chief"])) == 9
    assert (tmp_path / "runs/best.yaml").exists()


def test_two_processes_never_train_the_same_trial(search, tmp_path):
    assert search("--max-trials", 1)[0] == 0
    (tmp_path / "runs/trial_0001").mkdir()
    with folder_lock(tmp_path / "runs/trial_0001/.lock", "taken"):
        status, _, error = search("--max-trials", 2)
    assert (status, search.made) == (2, [])
    assert error == (
        f"error: {tmp_path / 'runs/trial_0001'}: another process trains there; stop it, then start this one again\n"
    )
    assert search("--max-trials", 2)[0] == 0


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on(tmp_path):
    write_records(tmp_path / "records")
    write_search(tmp_path, search={"name": "random", "max_trials": 30})
    killed = start(tmp_path)
    deadline = time.monotonic() + 300
    while not (tmp_path / "runs/trial_0003").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    again = start(tmp_path)
    words = again.communicate(timeout=400)[0]
    assert again.returncode == 0, words
    assert sorted(map(int, table(words))) == list(range(30))
    assert "trial 0:" not in words
    for number in range(30):
        assert (tmp_path / f"runs/trial_{number:04d}/epochs.txt").read_text().splitlines()[0] == "1 1-9"


@pytest.mark.slow
def test_a_real_search_ends_with_a_configuration_that_trains(tmp_path, tiny_keypoint_records):
    """Hyperband with trainings of one epoch, of which one goes on to a second; then what it found is trained."""
    tiny = {"model.units": [4], "sampling.num_frames": 4, "train.epochs": 2, "train.batch_size": 8}
    tiny |= {"records.directory": str(tiny_keypoint_records), "export.formats": [], "train.monitor": "val_top1"}
    write_search(tmp_path, settings={}, space=RATES, search={"name": "hyperband", "factor": 2, "max_trials": 3})
    changes = [argument for change in as_overrides(tiny) for argument in ("--set", change)]
    command = [sys.executable, "-m", "sign_keras.tune", "--config", "search.yaml", "--runs", "runs", *changes]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    tuned = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    assert tuned.stderr == ""
    assert "from drawing clips, as fewer than two signers are known, of the 6 validation clips" in tuned.stdout
    rows = table(tuned.stdout)
    assert sorted(row["epochs"] for row in rows.values()) == ["1", "2"]
    best = tmp_path / f"runs/trial_{int(next(iter(rows))):04d}/seed_1"
    metrics = json.loads((best / "metrics.json").read_text())
    assert (metrics["split"], metrics["clips"], metrics["signers"]) == ("validation", 6, 1)
    command = [sys.executable, "-m", "sign_keras.train", "--config", "runs/best.yaml", "--run-dir", "runs/best"]
    trained = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "test top-1" in trained.stdout
    assert load_config(tmp_path / "runs/best/config.yaml") == load_config(tmp_path / "runs/best.yaml")
