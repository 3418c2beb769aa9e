import numpy as np
import pytest

from tests.tfrecords_tools.this_process import ThisProcess
from tfrecords_tools import training_records
from tfrecords_tools.schema import decode_record
from tfrecords_tools.synthetic import SIGN_PARAMETERS
from tfrecords_tools.tfrecord import read_records


@pytest.fixture
def few_clips_a_shard(monkeypatch):
    monkeypatch.setattr(training_records, "CLIPS_PER_SHARD", 2)


def render(directory, seed: int = 3):
    # In this process, so that the smaller shard is heeded.
    path = directory / f"{seed}.tfrecord"
    training_records._render_shard(path, [seed, 0], num_frames=3, short_side=48)
    return path


def test_a_record_holds_the_frames_and_the_parameters_of_its_sign(tmp_path, few_clips_a_shard):
    records = [decode_record(record, layout=None) for record in read_records(render(tmp_path))]
    assert len(records) == 2
    for record in records:
        assert len(record["jpegs"]) == len(record["timestamps"]) == 3
        assert (record["height"], record["width"]) == (48, 48)
        values = [
            SIGN_PARAMETERS[name][label] for name, label in zip(SIGN_PARAMETERS, record["labels"], strict=True)
        ]
        assert record["glosses"] == [f"{name}/{value}" for name, value in zip(SIGN_PARAMETERS, values, strict=True)]
    assert records[0]["media_id"] != records[1]["media_id"]


def test_the_crop_holds_the_hands(tmp_path, few_clips_a_shard):
    for serialized in read_records(render(tmp_path)):
        record = decode_record(serialized, layout=None)
        assert record["crop_origin"] == "hands"
        x0, y0, x1, y1 = record["hand_box"]
        assert 0 < x1 - x0 <= 1.5
        assert x1 - x0 == pytest.approx(y1 - y0, rel=1e-3)


def test_keypoints_are_the_hands_in_the_cut_frames(tmp_path, few_clips_a_shard):
    for serialized in read_records(render(tmp_path)):
        record = decode_record(serialized, training_records.TRUE_HANDS)
        joints = record["keypoints"].astype(np.float32)
        assert joints.shape == (3, 42, 3)
        # The crop is made around the hands of the frames where all of a hand is in view.
        inside = ((joints[..., :2] > 0) & (joints[..., :2] < 1)).all(axis=-1)
        assert inside.reshape(3, 2, 21).all(axis=-1).any()
        # A hand is smaller than the picture, and its finger tips are not where its wrist is.
        assert np.ptp(joints[:, :21, :2], axis=1).max() < 1.5
        assert np.ptp(joints[:, :21, :2], axis=1).min(axis=0).max() > 0.01


def test_the_same_seed_gives_the_same_bytes(tmp_path, few_clips_a_shard):
    first = render(tmp_path).read_bytes()
    assert render(tmp_path).read_bytes() == first
    assert render(tmp_path, seed=4).read_bytes() != first


def test_shards_that_are_there_are_kept(tmp_path, monkeypatch):
    rendered = []
    monkeypatch.setattr(training_records, "_render_shard", lambda path, *_: rendered.append(path) or path.touch())
    monkeypatch.setattr(training_records, "start_pool", ThisProcess)
    paths = training_records.render_training_records(tmp_path, 65, 3, 48, seed=0)
    assert len(paths) == 2
    assert rendered == paths
    paths[1].unlink()
    training_records.render_training_records(tmp_path, 65, 3, 48, seed=0)
    assert rendered[2:] == [paths[1]]
