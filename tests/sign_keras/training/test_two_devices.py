import json
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import REPOSITORY


def run_on_two_devices(folder, what):
    output = folder / "found.json"
    command = [sys.executable, "-m", "tests.sign_keras.training.on_two_devices", str(output), what]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(output.read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run_on_two_devices(tmp_path_factory.mktemp("devices"), "all")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adversarial"])
def test_two_devices_in_parts_end_where_one_device_in_one_batch_does(found, optimizer):
    """With clipping (adamw) and without, at adversarial weights; uneven last batches, averages, frozen norms.

    Gradients are as long, at each stage.
    """
    assert found[optimizer] < 1e-5


def test_steps_that_are_timed_are_keras_steps(found):
    assert found["timed"] == 0


def test_sentences_are_learnt_and_counted_on_two_devices_as_on_one(found):
    assert found["sentences"] < 1e-5
    alone, together = found["word_error_rates"]
    assert together == pytest.approx(alone)
    assert min(alone) > 0


@pytest.mark.slow
def test_losses_of_stages_are_weighed_on_two_devices_in_parts_as_on_one(tmp_path):
    """By GradNorm, with L2, at weights that end the same."""
    compared = run_on_two_devices(tmp_path, "stages")
    assert compared["difference"] < 1e-4
    alone, together = compared["histories"]
    assert alone.keys() == together.keys() > {"loss_ctc", "val_loss_alignment", "weight_alignment"}
    for name, values in alone.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-3, err_msg=name)
    assert alone["weight_alignment"][0] != alone["weight_alignment"][1]


def test_devices_hold_the_same_weights_statistics_and_state(found):
    assert found["between_devices"] == 0


def test_plateau_lowers_the_rate_on_two_devices(found):
    assert found["plateau"] == pytest.approx(0.1 / 4)


def test_unfreezing_and_validation_work_on_two_devices(found):
    assert np.isfinite(found["history"]["val_loss"]).all()
    assert found["history"]["loss"][-1] < found["history"]["loss"][0]
    assert found["confusion"] == 3 * 5  # three validations of five clips


def test_mixed_precision_in_parts_learns_on_two_devices(found):
    assert np.isfinite(found["mixed"]).all()
    assert found["mixed"][-1] < found["mixed"][0]
