from types import SimpleNamespace

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from sign_keras.training.profiling import ProfileSteps
from tests.sign_keras.training.test_trainer import fit, start


def traced(directory):
    """Numbers of the updates in each trace below a folder, by when it was made."""
    found = []
    for path in sorted(directory.rglob("plugins/profile/*/*.xplane.pb"), key=lambda path: path.stat().st_mtime_ns):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        numbers = set()
        for plane in space.planes:
            names = {number: data.name for number, data in plane.stat_metadata.items()}
            for event in (event for line in plane.lines for event in line.events):
                if plane.event_metadata[event.metadata_id].name == "train":
                    numbers |= {stat.int64_value for stat in event.stats if names[stat.metadata_id] == "step_num"}
        found.append(sorted(numbers))
    return found


def callbacks_told(profile, updates, per_epoch=4):
    """What a training tells it of some updates, from 1 on; TensorFlow has something to do in each."""
    for update in updates:
        epoch, batch = divmod(update - 1, per_epoch)
        if batch == 0 or update == updates[0]:
            profile.on_epoch_begin(epoch)
        profile.on_train_batch_begin(batch)
        tf.reduce_sum(tf.ones(10))
        profile.on_train_batch_end(batch)
        if batch == per_epoch - 1:
            profile.on_test_begin()


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        pytest.param(1, 4, [[2, 3]], id="within an epoch"),
        pytest.param(3, 4, [[3]], id="goes on within the range"),
        pytest.param(4, 8, [], id="goes on behind it"),
        pytest.param(1, 2, [[2]], id="stops within the range"),
    ],
)
def test_the_range_is_traced_wherever_a_training_begins(begins, ends, expected, tmp_path):
    profile = ProfileSteps(tmp_path, 2, 3, updates_per_epoch=4)
    callbacks_told(profile, range(begins, ends + 1))
    profile.close()
    profile.close()
    assert traced(tmp_path) == expected


def test_validation_is_left_out(tmp_path, monkeypatch):
    """A range over two epochs is two traces."""
    opened = []

    class Profile:
        def __init__(self, logdir):
            assert logdir == str(tmp_path)

        def __enter__(self):
            opened.append("begin")

        def __exit__(self, *error):
            opened.append("end")

    fake = SimpleNamespace(Profile=Profile, Trace=tf.profiler.experimental.Trace)
    monkeypatch.setattr(tf.profiler, "experimental", fake)
    callbacks_told(ProfileSteps(tmp_path, 4, 5, updates_per_epoch=4), range(1, 7))
    assert opened == ["begin", "end"] * 2


def test_a_training_writes_its_trace(tiny_config, tmp_path):
    """Three updates an epoch; it ends within the range."""
    config = tiny_config(train={"epochs": 1, "batch_size": 4, "profile_steps": [2, 9]})
    run, records = start(config, tmp_path / "run")
    fit(run, records)
    assert traced(run.directory / "tensorboard") == [[2, 3]]
    with tf.profiler.experimental.Profile(str(tmp_path / "next")):  # none is running any more
        pass
