from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from sign_keras.config import AugmentConfig, DataConfig, KeypointAugmentConfig, MixConfig
from sign_keras.data.dataset import Records
from tests.conftest import moving_square
from tfrecords_tools.array_records import ArrayClip, convert_arrays
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.sources.keypoint_arrays import ArrayLayout
from tfrecords_tools.video import write_video

SAMPLING = SamplingSpec(num_frames=3, height=32, width=32)
AUGMENT = AugmentConfig(zoom=0.2, rotation=5, brightness=0.1)
EVERYTHING = DataConfig(
    cache="memory",
    augment=AugmentConfig(zoom=0.2, aspect=0.3, rotation=5, mirror=0.5, blur=1, brightness=0.1, hue=0.1, speed=0.3),
    mix=MixConfig(mixup=0.2, cutmix=1, probability=0.8, tube=True),
    oversample=0.5,
)


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


@pytest.mark.parametrize(
    "config",
    [
        DataConfig(augment=AUGMENT),
        DataConfig(augment=AugmentConfig(brightness=0.1, consistent=False)),
        EVERYTHING,
    ],
    ids=["plain", "every frame anew", "everything, cached"],
)
def test_training_batches_follow_from_seed_and_epoch_alone(records, config):
    per_epoch = -(-records.num_clips("train") // 4)
    batches = take(records.training_batches(config, 4, seed=1), 2 * per_epoch)
    assert_same(batches, take(records.training_batches(config, 4, seed=1), 2 * per_epoch))
    assert_same(batches[per_epoch:], take(records.training_batches(config, 4, seed=1, first_epoch=1), per_epoch))
    for first_batch in (1, per_epoch):
        later = records.training_batches(config, 4, seed=1, first_epoch=0, first_batch=first_batch)
        assert_same(batches[first_batch:], take(later, 2 * per_epoch - first_batch))
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


def test_mixed_batches_have_shares_for_labels(records):
    config = DataConfig(mix=MixConfig(cutmix=1, probability=0.5))
    per_epoch = -(-records.num_clips("train") // 4)
    plain = take(records.training_batches(DataConfig(), 4, seed=1), per_epoch)
    mixed = take(records.training_batches(config, 4, seed=1), per_epoch)
    changed = 0
    for (frames, labels), (mixed_frames, shares) in zip(plain, mixed, strict=True):
        assert mixed_frames.dtype == np.uint8
        assert mixed_frames.shape == frames.shape
        assert shares.dtype == np.float32
        assert shares.shape == (len(labels), 3)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        for clip, label, mixed_clip, share in zip(frames, labels, mixed_frames, shares, strict=True):
            own = (mixed_clip == clip).all(axis=-1).mean()
            changed += own < 1
            # What was pasted may happen to look the same; and may be of the same gloss.
            assert share[label] <= own + 1e-6 or share[label] == 1
    assert 0 < changed < sum(len(labels) for _, labels in plain)


def test_keypoints_are_not_mixed(records):
    with_keypoints = replace(records, input_names=("frames", "keypoints"))
    with pytest.raises(UserError, match=r"^data\.mix: blends pictures, but the model takes keypoints"):
        with_keypoints.training_batches(DataConfig(mix=MixConfig(mixup=0.2)), 4, seed=0)


@pytest.fixture(scope="module")
def uneven_records(tmp_path_factory):
    """Of "often" 8 clips, of "rare" 2."""
    root = tmp_path_factory.mktemp("uneven")
    for number in range(10):
        path = root / "videos" / ("rare" if number < 2 else "often") / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, moving_square(6, ground=20 * number), 12)
    settings = {"keypoints": None, "short_side": 40, "split": {"validation": 0, "test": 0}}
    convert_source("video_folders", root / "videos", root / "records", settings, workers=1)
    return Records.open(root / "records", SAMPLING, ("frames",))


@pytest.mark.parametrize(("oversample", "expected"), [(0.0, [8, 2]), (0.5, [7, 3]), (1.0, [5, 5])])
def test_every_epoch_holds_the_same_oversampled_counts(uneven_records, oversample, expected):
    """Square roots 2.83 and 1.41 of a sum of 4.24: 6.67 and 3.33 of 10 clips."""
    config = DataConfig(oversample=oversample, augment=AugmentConfig(temporal_jitter=0))
    batches = take(uneven_records.training_batches(config, 4, seed=1), 3 * 6)
    clips = []
    for start in range(0, 18, 3):
        epoch = batches[start : start + 3]
        assert [len(labels) for _, labels in epoch] == [4, 4, 2]  # ten clips, as without
        labels = np.concatenate([labels for _, labels in epoch])
        counts = Counter(uneven_records.label_map.glosses[label] for label in labels)
        assert [counts["often"], counts["rare"]] == expected
        clips += [bytes(clip[0, 0, 0]) for frames, _ in epoch for clip in frames]
    assert len(set(clips)) == 10  # by their grounds: none is left out for good


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


@pytest.fixture(scope="module")
def keypoint_records(tmp_path_factory):
    """Nine clips of both hands, all of the training split."""
    rng = np.random.default_rng(0)
    points = [name for name in MEDIAPIPE_HOLISTIC.names if "_hand/" in name]
    pairs = [pair for pair in MEDIAPIPE_HOLISTIC.mirror_pairs if "_hand/" in pair[0]]
    layout = ArrayLayout(name="both_hands", points=points, mirror_pairs=pairs, frame_rate=25)
    clips = [
        ArrayClip(f"{number}.npy", rng.uniform(size=(6, 42, 3)), {"gloss": "hello", "split": "train"})
        for number in range(9)
    ]
    folder = tmp_path_factory.mktemp("hands")
    convert_arrays(clips, layout, folder, workers=1)
    return Records.open(folder, SAMPLING, ("keypoints",))


EVERY_STEP = KeypointAugmentConfig.model_validate(
    {"interpolate": True, **{name: {"probability": 0.5} for name in KeypointAugmentConfig().steps}}
)


def test_keypoints_of_training_follow_from_seed_epoch_and_place_alone(keypoint_records):
    config = DataConfig(augment=AugmentConfig(mirror=0.5, speed=0.5, shift=0.2), augment_keypoints=EVERY_STEP)

    def epochs(batch_size, count, **start):
        batches = keypoint_records.training_batches(config, batch_size, **{"seed": 1, **start})
        return np.concatenate([inputs["keypoints"] for inputs, _ in islice(batches, count)])

    two = epochs(3, 6)
    assert two.shape == (18, 3, 42, 3)
    assert np.isnan(two).any()
    np.testing.assert_array_equal(two, epochs(3, 6))
    np.testing.assert_array_equal(two[9:], epochs(3, 3, first_epoch=1))
    np.testing.assert_array_equal(two[:9], epochs(9, 1))  # however they are batched
    assert not np.array_equal(two[:9], two[9:], equal_nan=True)
    assert not np.array_equal(two[:9], epochs(3, 3, seed=2), equal_nan=True)


def test_keypoints_of_a_test_are_never_augmented(keypoint_records):
    assert not any(
        np.isnan(inputs["keypoints"]).any() for inputs, *_ in keypoint_records.evaluation_batches("train", 4)
    )


def test_keypoint_steps_without_keypoints_are_refused(records):
    with pytest.raises(UserError, match=r"^data\.augment_keypoints: the model takes no keypoints"):
        records.training_batches(DataConfig(augment_keypoints=EVERY_STEP), 4, seed=0)
