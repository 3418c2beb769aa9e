from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.schema import encode_record, parse_record


def parse(record: bytes, layout=MEDIAPIPE_HOLISTIC) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in parse_record(tf.constant(record), layout).items()}


def edit(record: bytes, change: Callable[[tf.train.SequenceExample], None]) -> bytes:
    example = tf.train.SequenceExample.FromString(record)
    change(example)
    return example.SerializeToString()


def test_encode_then_parse_is_identity(make_extracted):
    extracted = make_extracted(5, glosses=("naïve/«quoted», gloss", "WORLD"), signer="Zoë")
    record = parse(encode_record(extracted, [7, 2]))
    assert record["jpegs"].tolist() == extracted.jpegs
    np.testing.assert_array_equal(record["timestamps"], [0, 40_000, 80_000, 120_000, 160_000])
    assert (record["num_frames"], record["height"], record["width"]) == (5, 48, 64)
    assert record["frame_rate"] == 25
    assert [gloss.decode() for gloss in record["glosses"]] == list(extracted.clip.glosses)
    assert record["labels"].tolist() == [7, 2]
    assert record["media_id"].decode() == extracted.clip.media_id
    assert record["path"].decode() == extracted.clip.path
    assert record["signer"].decode() == "Zoë"
    assert record["crop_origin"] == b"full"
    np.testing.assert_array_equal(record["hand_box"], [0, 0, 1, 1])


def test_keypoints_and_missing_ones_survive(make_extracted):
    extracted = make_extracted(4)
    record = parse(encode_record(extracted, [0]))
    np.testing.assert_array_equal(record["keypoints"], extracted.keypoints.points.astype(np.float32))
    np.testing.assert_array_equal(record["visibility"], extracted.keypoints.visibility.astype(np.float32))
    np.testing.assert_array_equal(record["presence"], extracted.keypoints.presence)
    assert np.isnan(record["keypoints"][0, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]]).all()


def test_record_without_keypoints(make_extracted):
    record = parse(encode_record(make_extracted(keypoints=False), [0]), layout=None)
    assert "keypoints" not in record
    assert len(record["jpegs"]) == 3


def test_record_without_frames(make_extracted):
    record = parse(encode_record(make_extracted(frames=False), [0]))
    assert record["jpegs"].shape == (0,)
    assert record["keypoints"].shape == (3, 543, 3)
    assert (record["num_frames"], record["height"]) == (3, 0)


def test_parse_is_the_same_in_tf_data(make_extracted):
    records = [encode_record(make_extracted(count), [1]) for count in (1, 6)]
    dataset = tf.data.Dataset.from_tensor_slices(records)
    dataset = dataset.map(lambda record: parse_record(record, MEDIAPIPE_HOLISTIC))
    for record, in_graph in zip(records, dataset.as_numpy_iterator(), strict=True):
        eagerly = parse(record)
        assert eagerly.keys() == in_graph.keys()
        for key, value in eagerly.items():
            np.testing.assert_array_equal(value, in_graph[key], err_msg=key)
            assert np.asarray(value).dtype == np.asarray(in_graph[key]).dtype


def test_encoding_is_deterministic(make_extracted):
    assert encode_record(make_extracted(), [0]) == encode_record(make_extracted(), [0])


@pytest.mark.parametrize("version", [None, 0, 999])
@pytest.mark.parametrize("in_graph", [False, True])
def test_another_schema_version_is_refused(make_extracted, version, in_graph):
    def change(example):
        del example.context.feature["schema/version"]
        if version is not None:
            example.context.feature["schema/version"].int64_list.value.append(version)

    record = edit(encode_record(make_extracted(), [0]), change)

    def jpegs(serialized):
        return parse_record(serialized, None)["jpegs"]  # whatever of the record is used

    parse_one = tf.function(jpegs) if in_graph else jpegs
    with pytest.raises(tf.errors.InvalidArgumentError, match="schema version"):
        parse_one(tf.constant(record))


@pytest.mark.parametrize("key", ["clip/media_id", "clip/hand_box", "keypoints/encoded", "image/height"])
def test_missing_feature_is_named(make_extracted, key):
    record = edit(encode_record(make_extracted(), [0]), lambda example: example.context.feature.pop(key))
    with pytest.raises(tf.errors.InvalidArgumentError, match=key):
        parse_record(tf.constant(record), MEDIAPIPE_HOLISTIC)


@pytest.mark.parametrize("key", ["clip/label/string", "clip/label/index"])
def test_missing_label_is_named(make_extracted, key):
    record = edit(encode_record(make_extracted(), [0]), lambda example: example.context.feature.pop(key))
    with pytest.raises(tf.errors.InvalidArgumentError, match="clip/label/string and clip/label/index"):
        parse_record(tf.constant(record), MEDIAPIPE_HOLISTIC)


def test_missing_timestamps_are_named(make_extracted):
    def change(example):
        del example.feature_lists.feature_list["image/timestamp"]

    with pytest.raises(tf.errors.InvalidArgumentError, match="image/timestamp"):
        parse_record(tf.constant(edit(encode_record(make_extracted(), [0]), change)), None)
