from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.data.parsing import parse_record
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.schema import decode_record, encode_record


def parse(record: bytes, layout=MEDIAPIPE_HOLISTIC) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in parse_record(tf.constant(record), layout).items()}


def edit(record: bytes, change: Callable[[tf.train.SequenceExample], None]) -> bytes:
    example = tf.train.SequenceExample.FromString(record)
    change(example)
    return example.SerializeToString()


@pytest.mark.parametrize(("keypoints", "frames"), [(True, True), (True, False), (False, True)])
def test_parsing_gives_what_decoding_gives(make_extracted, keypoints, frames):
    """TensorFlow and NumPy read the same names and values out of a record."""
    extracted = make_extracted(5, keypoints=keypoints, frames=frames, glosses=("naïve/«quoted», gloss", "WORLD"))
    layout = MEDIAPIPE_HOLISTIC if keypoints else None
    record = encode_record(extracted, [7, 2])
    parsed, decoded = parse(record, layout), decode_record(record, layout)
    assert parsed.keys() == decoded.keys()
    for key, value in decoded.items():
        if isinstance(value, str):
            assert parsed[key].decode() == value
        elif key == "glosses":
            assert [gloss.decode() for gloss in parsed[key]] == value
        elif key == "jpegs":
            assert parsed[key].tolist() == value
        else:
            np.testing.assert_array_equal(parsed[key], np.asarray(value, parsed[key].dtype), err_msg=key)


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
