from collections import Counter
from itertools import islice

import numpy as np
import pytest

from sign_keras.config import AugmentConfig, DataConfig
from sign_keras.data.dataset import Records
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import DatasetInfo

SAMPLING = SamplingSpec(num_frames=3, height=32, width=32)
AUGMENT = AugmentConfig(zoom=0.2, rotation=5, brightness=0.1)


@pytest.fixture
def records(tiny_records):
    return Records.open(tiny_records, SAMPLING, ("frames",))


def take(batches, count):
    return [(inputs["frames"].numpy(), labels.numpy()) for inputs, labels in islice(batches, count)]


def assert_same(first, second):
    assert len(first) == len(second)
    for (frames_a, labels_a), (frames_b, labels_b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(labels_a, labels_b)
        np.testing.assert_array_equal(frames_a, frames_b)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_sees_every_clip_exactly_once(records, split):
    seen = Counter(
        media_id.decode()
        for _, _, metadata in records.evaluation_batches(split, 4)
        for media_id in metadata["media_id"].numpy()
    )
    assert len(seen) == records.num_clips(split)
    assert set(seen.values()) == {1}


def test_evaluation_labels_agree_with_glosses(records):
    for _, labels, metadata in records.evaluation_batches("train", 4):
        for label, gloss in zip(labels.numpy(), metadata["gloss"].numpy(), strict=True):
            assert records.label_map.glosses[label] == gloss.decode()


def test_every_training_epoch_holds_every_clip_once(records):
    per_epoch = -(-records.num_clips("train") // 4)
    batches = take(records.training_batches(DataConfig(augment=AUGMENT), 4, seed=1), 2 * per_epoch)
    for epoch in (batches[:per_epoch], batches[per_epoch:]):
        labels = np.concatenate([labels for _, labels in epoch])
        assert Counter(labels.tolist()) == dict.fromkeys(range(3), records.num_clips("train") // 3)


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_training_batches_follow_from_seed_and_epoch_alone(records, cache):
    config = DataConfig(augment=AUGMENT, cache=cache)
    per_epoch = -(-records.num_clips("train") // 4)
    batches = take(records.training_batches(config, 4, seed=1), 2 * per_epoch)
    assert_same(batches, take(records.training_batches(config, 4, seed=1), 2 * per_epoch))
    assert_same(batches[per_epoch:], take(records.training_batches(config, 4, seed=1, first_epoch=1), per_epoch))
    assert not np.array_equal(batches[0][0], batches[per_epoch][0])
    other = take(records.training_batches(config, 4, seed=2), per_epoch)
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(batches[:per_epoch], other, strict=True))


def test_disk_cache_gives_the_same_batches(records, tmp_path):
    plain = take(records.training_batches(DataConfig(augment=AUGMENT), 4, seed=1), 6)
    config = DataConfig(augment=AUGMENT, cache=str(tmp_path / "cache"))
    for _ in range(2):
        assert_same(plain, take(records.training_batches(config, 4, seed=1), 6))
    assert list((tmp_path / "cache").iterdir())


def test_shuffled_labels_keep_the_counts_and_the_frames(records):
    size = records.num_clips("train")
    true = take(records.training_batches(DataConfig(), size, seed=1), 1)[0]
    dealt = take(records.training_batches(DataConfig(shuffle_labels=True), size, seed=1), 2)
    np.testing.assert_array_equal(true[0], dealt[0][0])
    assert Counter(true[1].tolist()) == Counter(dealt[0][1].tolist())
    assert true[1].tolist() != dealt[0][1].tolist()


def test_padded_sampling_comes_with_its_mask(tiny_records):
    sampling = SamplingSpec(num_frames=10, frame_rate=12, height=32, width=32)
    records = Records.open(tiny_records, sampling, ("frames", "frame_mask"))
    inputs, _, _ = next(iter(records.evaluation_batches("train", 12)))
    assert set(inputs["frame_mask"].numpy().sum(axis=1).tolist()) == {6, 7, 8}


def test_training_and_evaluation_agree_without_augmentation(records):
    config = DataConfig(augment=AugmentConfig(temporal_jitter=0))
    training = take(records.training_batches(config, 100, seed=0), 1)[0][0]
    evaluation = next(iter(records.evaluation_batches("train", 100)))[0]["frames"].numpy()
    key = lambda frames: frames.astype(np.int64).sum()  # noqa: E731
    for a, b in zip(sorted(training, key=key), sorted(evaluation, key=key), strict=True):
        # Two resampling kernels, the same pixels: rounding apart.
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 2


def test_opening_says_what_is_missing(tmp_path, tiny_records):
    with pytest.raises(UserError, match="no such folder"):
        Records.open(tmp_path / "nowhere", SAMPLING, ("frames",))
    with pytest.raises(UserError, match="no keypoints, but the model needs them"):
        Records.open(tiny_records, SAMPLING, ("keypoints",))


def test_a_truncated_shard_is_named(tmp_path, tiny_records):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_records.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    shard = sorted(copy.glob("*-train.tfrecord-*"))[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    records = Records.open(copy, SAMPLING, ("frames",))
    with pytest.raises(UserError, match=f"{shard.name}.*cut off"):
        records.training_batches(DataConfig(), 4, seed=0)


def test_records_of_another_schema_version_are_refused(tmp_path, tiny_records):
    info = DatasetInfo.load(tiny_records).model_copy(update={"schema_version": 99})
    (tmp_path / "dataset_info.json").write_text(info.model_dump_json())
    (tmp_path / "label_map.json").write_text((tiny_records / "label_map.json").read_text())
    records = Records.open(tmp_path, SAMPLING, ("frames",))
    with pytest.raises(UserError, match="schema version 99"):
        records.evaluation_batches("train", 4)
