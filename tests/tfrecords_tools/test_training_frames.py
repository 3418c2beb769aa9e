import numpy as np
import pytest

from tests.tfrecords_tools.this_process import ThisProcess
from tfrecords_tools import training_frames
from tfrecords_tools.training_frames import render_training_frames


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Small chunks, which processes of a pool would not heed."""
    monkeypatch.setattr(training_frames, "CHUNK_FRAMES", 3)
    monkeypatch.setattr(training_frames, "start_pool", ThisProcess)


def test_as_many_as_asked_for_the_same_for_a_seed():
    found = render_training_frames(7, size=32, seed=1)
    assert {name: (values.shape, values.dtype.name) for name, values in found.items()} == {
        "frames": ((7, 32, 32, 3), "uint8"),
        "joints": ((7, 42, 2), "float32"),
        "directions": ((7, 12), "float32"),
        "in_view": ((7, 2), "float32"),
        "shapes": ((7, 2), "int64"),
    }
    assert len({frame.tobytes() for frame in found["frames"]}) == 7
    again, other = render_training_frames(7, size=32, seed=1), render_training_frames(7, size=32, seed=2)
    for name, values in found.items():
        np.testing.assert_array_equal(again[name], values)
    assert not np.array_equal(other["frames"], found["frames"])
