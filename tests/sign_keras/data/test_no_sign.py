from collections import Counter

import numpy as np
import pydantic
import pytest
import tensorflow as tf

from sign_keras.config import DataConfig, NoSignConfig
from sign_keras.data.dataset import Records
from sign_keras.data.no_sign import feasible_kinds, make_non_sign, model_label_map
from sign_keras.data.parsing import parse_record
from sign_keras.training.trainer import validation_batches
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.schema import encode_record

KINDS = NoSignConfig().kinds
NUM_FRAMES = 20
SAMPLING = SamplingSpec(num_frames=3, height=32, width=32)


@pytest.fixture
def parsed(make_extracted):
    """A record whose keypoints say which frame they are of: x is its number."""
    made = parse_record(encode_record(make_extracted(NUM_FRAMES), [0]), MEDIAPIPE_HOLISTIC)
    number = tf.range(NUM_FRAMES, dtype=tf.float32)[:, None]
    keypoints = tf.tile(number[:, None], [1, len(MEDIAPIPE_HOLISTIC.names), 3])
    return made | {"keypoints": keypoints}


def make(parsed, kind, seed=0, kinds=KINDS):
    place = tf.constant(kinds.index(kind))
    return make_non_sign(parsed, kinds, place, MEDIAPIPE_HOLISTIC, tf.constant([seed, 1], tf.int64))


def frame_numbers(parsed, made):
    """Which frame of the record each picture of the made-up one is."""
    own = parsed["jpegs"].numpy().tolist()
    return np.array([own.index(jpeg) for jpeg in made["jpegs"].numpy()])


@pytest.mark.parametrize("kind", KINDS)
def test_as_long_as_the_clip_and_at_the_same_times(parsed, kind):
    made = make(parsed, kind)
    assert made.keys() == parsed.keys()
    for name, value in parsed.items():
        assert made[name].shape == value.shape, name
        assert made[name].dtype == value.dtype, name
    np.testing.assert_array_equal(made["timestamps"], parsed["timestamps"])


@pytest.mark.parametrize(("kind", "first", "last"), [("start", 0, 3), ("end", 16, 19)])
def test_ends_are_stretched_and_time_runs_forwards(parsed, kind, first, last):
    made = make(parsed, kind)
    numbers = frame_numbers(parsed, made)
    assert (numbers[0], numbers[-1]) == (first, last)
    assert (np.diff(numbers) >= 0).all()
    # Keypoints move evenly, without steps.
    np.testing.assert_allclose(made["keypoints"][:, 40, 0], np.linspace(first, last, NUM_FRAMES), atol=1e-5)


def test_between_signs_an_end_comes_before_a_beginning(parsed):
    numbers = frame_numbers(parsed, make(parsed, "between"))
    half = NUM_FRAMES // 2
    assert (numbers[0], numbers[half - 1], numbers[half], numbers[-1]) == (14, 19, 0, 5)
    assert not set(range(6, 14)) & set(numbers.tolist())  # the sign's own movement is never seen
    # No keypoints between the last and the first frame, where nobody ever was.
    places = make(parsed, "between")["keypoints"][:, 40, 0].numpy()
    assert ((places <= 5) | (places >= 14)).all()


def test_a_hold_stays_and_trembles(parsed):
    centres = set()
    for seed in range(12):
        made = make(parsed, "hold", seed)
        numbers = frame_numbers(parsed, made)
        assert np.ptp(numbers) in (1, 2)
        centres.add(int(np.median(numbers)))
        trembling = made["keypoints"][:, 40, 0].numpy() - numbers
        assert 0.0005 < trembling.std() < 0.004
    assert len(centres) > 5


def test_hands_go_missing_and_the_rest_stays(parsed):
    made = make(parsed, "hands_missing")
    hands = np.zeros(len(MEDIAPIPE_HOLISTIC.names), bool)
    for group in ("left_hand", "right_hand"):
        hands[MEDIAPIPE_HOLISTIC.group_slices[group]] = True
    found = made["keypoints"].numpy()
    assert np.isnan(found[:, hands]).all()
    np.testing.assert_array_equal(found[:, ~hands], parsed["keypoints"].numpy()[:, ~hands])
    np.testing.assert_array_equal(frame_numbers(parsed, made), np.arange(NUM_FRAMES))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_in_both_frames_stays_missing(parsed, kind):
    gone = parsed | {"keypoints": tf.fill(parsed["keypoints"].shape, float("nan"))}
    assert np.isnan(make(gone, kind)["keypoints"]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_frames", [1, 2])
def test_clips_of_a_frame_or_two(make_extracted, kind, num_frames):
    parsed = parse_record(encode_record(make_extracted(num_frames), [0]), MEDIAPIPE_HOLISTIC)
    made = make(parsed, kind)
    assert made["keypoints"].shape == parsed["keypoints"].shape
    assert set(made["jpegs"].numpy().tolist()) <= set(parsed["jpegs"].numpy().tolist())


def test_records_of_keypoints_alone(make_extracted):
    parsed = parse_record(encode_record(make_extracted(4, frames=False), [0]), MEDIAPIPE_HOLISTIC)
    assert make(parsed, "between")["jpegs"].shape == [0]


def test_the_label_map_has_one_gloss_more_unless_it_has_it():
    own = LabelMap(("hello", "yes"))
    assert model_label_map(own, None) is own
    assert model_label_map(own, NoSignConfig()).glosses == ("hello", "yes", "no_sign")
    assert model_label_map(own, NoSignConfig(gloss="hello")) is own


def test_nothing_is_made_up_where_the_records_have_such_clips_unless_asked_for():
    assert NoSignConfig().made_up_share(("hello", "yes")) == 0.1
    assert NoSignConfig(gloss="yes").made_up_share(("hello", "yes")) == 0
    assert NoSignConfig(gloss="yes", share=0.2).made_up_share(("hello", "yes")) == 0.2


def test_kinds_are_named_once():
    with pytest.raises(pydantic.ValidationError, match="a kind is named twice"):
        NoSignConfig(kinds=("hold", "hold"))


def test_hands_go_missing_only_where_they_are_seen():
    no_hands = KeypointLayout.from_names("body", ["pose/nose"], [])
    without = tuple(kind for kind in KINDS if kind != "hands_missing")
    assert feasible_kinds(NoSignConfig(), ("keypoints",), MEDIAPIPE_HOLISTIC, 8) == KINDS
    assert feasible_kinds(NoSignConfig(), ("keypoints",), no_hands, 8) == without
    assert feasible_kinds(NoSignConfig(), ("frames",), MEDIAPIPE_HOLISTIC, 8) == without
    with pytest.raises(UserError, match="kinds: hands_missing needs a model of keypoints"):
        feasible_kinds(NoSignConfig(kinds=("hands_missing",)), ("frames",), None, 8)
    with pytest.raises(UserError, match="the model sees one frame"):
        feasible_kinds(NoSignConfig(), ("frames",), None, 1)


@pytest.fixture
def records(tiny_records):
    return Records.open(tiny_records, SAMPLING, ("frames",))


def training_epochs(records, num_epochs=1, **config):
    """``num_epochs`` times (frames, label) of every clip."""
    batches = records.training_batches(DataConfig.model_validate(config), 100, seed=4)
    return [(inputs["frames"], labels) for inputs, labels in batches.take(num_epochs).as_numpy_iterator()]


def test_a_share_of_training_clips_is_replaced(records):
    epochs = training_epochs(records, 40, no_sign={"share": 0.3}, augment={"temporal_jitter": 0})
    labels = np.concatenate([labels for _, labels in epochs])
    assert set(labels) == {0, 1, 2, 3}
    assert (labels == 3).mean() == pytest.approx(0.3, abs=0.05)
    again = training_epochs(records, 2, no_sign={"share": 0.3}, augment={"temporal_jitter": 0})
    for (frames, labels), (others, other_labels) in zip(epochs[:2], again, strict=True):
        np.testing.assert_array_equal(frames, others)
        np.testing.assert_array_equal(labels, other_labels)


def test_the_other_clips_are_what_they_are_without(records):
    (plain, plain_labels), (made, labels) = (
        training_epochs(records, augment={"zoom": 0.3, "brightness": 0.2}, **options)[0]
        for options in ({}, {"no_sign": {"share": 0.4}})
    )
    replaced = labels == 3
    assert 0 < replaced.sum() < len(labels)
    np.testing.assert_array_equal(made[~replaced], plain[~replaced])
    np.testing.assert_array_equal(labels[~replaced], plain_labels[~replaced])
    # In a clip of three moments, the square that crosses the picture no longer does.
    crossing = np.abs(plain.astype(int)[:, 0] - plain[:, -1]).mean(axis=(1, 2, 3))
    changed = np.abs(made.astype(int) - plain).mean(axis=(1, 2, 3, 4))
    assert (changed[replaced] > 0.05 * crossing[replaced]).all()


def test_mixed_labels_have_the_models_glosses(records):
    _, labels = training_epochs(records, no_sign={"share": 0.3}, mix={"mixup": 1.0})[0]
    assert labels.shape[1] == 4
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


def test_the_records_own_gloss_needs_nothing_made_up(records):
    _, labels = training_epochs(records, no_sign={"gloss": "yes"})[0]
    _, plain = training_epochs(records)[0]
    np.testing.assert_array_equal(labels, plain)


def test_validation_is_always_the_same_and_kinds_take_turns(records):
    config = NoSignConfig()
    first, second = (list(records.non_sign_batches("train", 4, config).as_numpy_iterator()) for _ in range(2))
    assert sum(len(labels) for _, labels, _ in first) == records.num_clips("train")
    for (inputs, labels, metadata), (others, _, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(inputs["frames"], others["frames"])
        assert set(labels) == {3}
        assert set(metadata) == {"media_id", "path", "signer", "gloss"}
    kinds = Counter(gloss.decode() for _, _, metadata in first for gloss in metadata["gloss"])
    assert set(kinds) == {"hold", "start", "end", "between"}
    assert max(kinds.values()) - min(kinds.values()) <= 1


@pytest.mark.parametrize("count", [1, 3, 5])
def test_some_are_taken_evenly_over_the_split(records, count):
    found = [
        name
        for _, _, metadata in records.non_sign_batches("train", 2, NoSignConfig(), count).as_numpy_iterator()
        for name in metadata["media_id"]
    ]
    assert len(set(found)) == len(found) == count


def test_validation_in_training_has_the_share_of_training(records):
    def labels(no_sign):
        batches = validation_batches(records, 4, no_sign)
        return np.concatenate([labels for _, labels in batches.as_numpy_iterator()])

    assert set(labels(None)) == {0, 1, 2}
    held = records.num_clips("validation")
    assert Counter(labels(NoSignConfig(share=0.5)).tolist())[3] == held
    assert Counter(labels(NoSignConfig()).tolist())[3] == max(1, round(held / 9))
