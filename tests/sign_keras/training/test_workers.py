"""Processes that train together over loopback, against one process; and what becomes of them when one is lost.

``python -m pytest -m slow -s tests/sign_keras/training/test_workers.py`` prints a row for each fault.
"""

import json
import signal
import time

import numpy as np
import pytest
import yaml

from sign_keras.inference.loading import load_artefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.run import Run
from sign_keras.training.callbacks import MEASURED
from tests.sign_keras.toy_training import history
from tests.sign_keras.training.interrupted import assert_same_training, contents
from tests.sign_keras.training.on_workers import run_workers
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

# Batches of 10, 10 and 4; no dropout, as every device draws by itself.
TOY = {
    "name": "toy",
    "seed": 1,
    "sampling": {"num_frames": 6, "height": 32, "width": 32},
    "data": {"augment_keypoints": {"noise": {"probability": 0.5, "deviation": 0.01}}},
    "model": {"architecture": "keypoint_gru", "units": [4], "dropout": 0},
    "train": {
        "epochs": 2,
        "batch_size": 10,
        "learning_rate": 0.05,
        "optimizer": "sgd",
        "schedule": "constant",
        "checkpoint_minutes": 1e-9,
    },
    "evaluate": {"bootstrap_samples": 100},
    "export": {"formats": []},
}
CLOCK = dict.fromkeys(MEASURED, 0)
STEP = 5  # of 6: the second of the second epoch


@pytest.fixture
def toy(tiny_keypoint_records, tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(TOY | {"records": {"directory": str(tiny_keypoint_records)}}))

    def run(count, name, *arguments, signals=None):
        directory = tmp_path / name
        ended = run_workers(count, tmp_path, "--config", path, "--run-dir", directory, *arguments, signals=signals)
        return directory, ended

    return run


def statuses(ended):
    return [one.status for one in ended]


@pytest.mark.slow
def test_two_workers_end_where_one_process_does(toy):
    """Weights and state of the optimiser within 1e-6; the first evaluates, and only it writes."""
    alone, ended = toy(1, "alone")
    assert statuses(ended) == [0], ended[0].errors
    together, ended = toy(2, "together")
    assert statuses(ended) == [0, 0], [one.errors for one in ended]
    for name in ("last", "best"):
        expected, found = (contents(run / "checkpoints" / f"{name}.weights.h5") for run in (alone, together))
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-6, err_msg=key)
    rows = zip(history(Run.load(alone)), history(Run.load(together)), strict=True)
    for row, other in rows:
        assert row | CLOCK == pytest.approx(other | CLOCK, abs=1e-5)
    metrics, others = (json.loads((run / "metrics.json").read_text()) for run in (alone, together))
    assert metrics["top1"] == others["top1"]
    line = "2 devices of 2 workers, batch 5 on each and 10 over all, learning rate 0.05 as configured"
    assert all(line in one.output for one in ended)
    assert ["test top-1" in one.output for one in ended] == [True, False]
    written = sorted(path.parent.name for path in (together / "tensorboard").rglob("events.out.*"))
    assert written == sorted(path.parent.name for path in (alone / "tensorboard").rglob("events.out.*"))


@pytest.mark.slow
def test_the_first_exports_while_the_others_wait(toy, tmp_path):
    formats = ("--set", "export.formats=[savedmodel, tflite]", "--set", "export.quantization=[none, int8]")
    together, ended = toy(2, "together", *formats)
    assert statuses(ended) == [0, 0], [one.errors for one in ended]
    assert ["tflite/toy_int8.tflite" in one.output for one in ended] == [True, False]
    run = RunArtefact(Run.load(together))
    num_points = len(MEDIAPIPE_HOLISTIC.names)
    clip = {"keypoints": np.random.default_rng(0).random((1, run.sampling.num_frames, num_points, 3), np.float32)}
    for path in ("savedmodels/toy", "tflite/toy.tflite"):
        exported = load_artefact(tmp_path / path)
        np.testing.assert_allclose(exported.logits(clip), run.logits(clip), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_a_killed_worker_ends_the_others_and_costs_nothing(toy, lost):
    whole, _ = toy(2, "whole")
    began = time.monotonic()
    broken, ended = toy(2, "broken", signals={lost: (STEP, signal.SIGKILL)})
    seconds = time.monotonic() - began
    assert statuses(ended)[lost] == -signal.SIGKILL
    assert statuses(ended)[1 - lost] == 2
    [line] = [line for line in ended[1 - lost].errors.splitlines() if line.startswith("error: ")]
    assert "does not answer any more" in line
    assert "with --resume" in line
    broken, ended = toy(2, "broken", "--resume")
    assert statuses(ended) == [0, 0], [one.errors for one in ended]
    assert_same_training(Run.load(whole), Run.load(broken))
    print(f"\n| SIGKILL of worker {lost} of 2 | 1 | 0 | 0 | {seconds:.0f} s, {line}")


@pytest.mark.slow
def test_what_one_worker_is_told_stops_all_and_costs_nothing(toy):
    """SIGTERM of the one that writes nothing."""
    whole, _ = toy(2, "whole")
    broken, ended = toy(2, "broken", signals={1: (STEP, signal.SIGTERM)})
    assert statuses(ended) == [128 + signal.SIGTERM] * 2, [one.errors for one in ended]
    assert all("training is saved after epoch 2, batch 2 of 3" in one.errors for one in ended)
    broken, ended = toy(2, "broken", "--resume")
    assert statuses(ended) == [0, 0], [one.errors for one in ended]
    assert_same_training(Run.load(whole), Run.load(broken))
    print("\n| SIGTERM of worker 1 of 2 | 1 | 0 | 0 |")


@pytest.mark.slow
def test_a_fault_of_one_ends_all(toy):
    """The first finds a run where a new one was to be; the other does not wait for it for ever."""
    _, ended = toy(2, "whole", "--until-epoch", 1)
    assert statuses(ended) == [0, 0]
    _, ended = toy(2, "whole")
    assert statuses(ended)[0] == 2
    assert "holds a run already" in ended[0].errors
    assert statuses(ended)[1] == 2
    assert "worker 0" in ended[1].errors
