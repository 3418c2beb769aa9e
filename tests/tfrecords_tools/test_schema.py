from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.schema import RecordError, decode_record, encode_record


def edit(record: bytes, change: Callable[[tf.train.SequenceExample], None]) -> bytes:
    example = tf.train.SequenceExample.FromString(record)
    change(example)
    return example.SerializeToString()


def test_encode_then_parse_is_identity(make_extracted):
    extracted = make_extracted(5, glosses=("naïve/«quoted», gloss", "WORLD"), signer="Zoë")
    record = decode_record(encode_record(extracted, [7, 2]), MEDIAPIPE_HOLISTIC)
    assert record["jpegs"] == extracted.jpegs
    np.testing.assert_array_equal(record["timestamps"], [0, 40_000, 80_000, 120_000, 160_000])
    assert (record["num_frames"], record["height"], record["width"]) == (5, 48, 64)
    assert record["frame_rate"] == 25
    assert record["glosses"] == list(extracted.clip.glosses)
    assert record["labels"].tolist() == [7, 2]
    assert record["media_id"] == extracted.clip.media_id
    assert record["path"] == extracted.clip.path
    assert record["signer"] == "Zoë"
    assert record["crop_origin"] == "full"
    np.testing.assert_array_equal(record["hand_box"], [0, 0, 1, 1])


def test_times_of_glosses_survive_and_may_be_missing(make_extracted):
    extracted = make_extracted(5, glosses=("A", "B"))
    clip = replace(extracted.clip, gloss_seconds=((0.0, 0.04), (0.1, 0.1234567)))
    timed = encode_record(replace(extracted, clip=clip), [0, 1])
    record = decode_record(timed, None)
    assert record["gloss_starts"].tolist() == [0, 100_000]
    assert record["gloss_ends"].tolist() == [40_000, 123_457]

    def forget(example):
        for key in ("segment/start/timestamp", "segment/end/timestamp"):
            example.context.feature.pop(key)

    def lose_one(example):
        example.context.feature["segment/end/timestamp"].int64_list.value.pop()

    assert not len(decode_record(edit(timed, forget), None)["gloss_starts"])
    with pytest.raises(RecordError, match="gloss_ends has 1 times for 2 glosses"):
        decode_record(edit(timed, lose_one), None)


def test_keypoints_and_missing_ones_survive(make_extracted):
    extracted = make_extracted(4)
    record = decode_record(encode_record(extracted, [0]), MEDIAPIPE_HOLISTIC)
    np.testing.assert_array_equal(record["keypoints"], extracted.keypoints.points.astype(np.float32))
    np.testing.assert_array_equal(record["visibility"], extracted.keypoints.visibility.astype(np.float32))
    np.testing.assert_array_equal(record["presence"], extracted.keypoints.presence)
    assert np.isnan(record["keypoints"][0, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]]).all()


def test_record_without_keypoints(make_extracted):
    record = decode_record(encode_record(make_extracted(keypoints=False), [0]), layout=None)
    assert "keypoints" not in record
    assert len(record["jpegs"]) == 3


def test_record_without_frames(make_extracted):
    record = decode_record(encode_record(make_extracted(frames=False), [0]), MEDIAPIPE_HOLISTIC)
    assert record["jpegs"] == []
    assert record["keypoints"].shape == (3, 543, 3)
    assert (record["num_frames"], record["height"]) == (3, 0)


def test_encoding_is_deterministic(make_extracted):
    assert encode_record(make_extracted(), [0]) == encode_record(make_extracted(), [0])


def test_bytes_are_those_that_tensorflow_writes(make_extracted):
    record = encode_record(make_extracted(4), [3])
    assert tf.train.SequenceExample.FromString(record).SerializeToString(deterministic=True) == record


@pytest.mark.parametrize("version", [None, 0, 999])
def test_another_schema_version_is_refused(make_extracted, version):
    def change(example):
        del example.context.feature["schema/version"]
        if version is not None:
            example.context.feature["schema/version"].int64_list.value.append(version)

    with pytest.raises(RecordError, match=f"schema version {version or 0}"):
        decode_record(edit(encode_record(make_extracted(), [0]), change), None)


@pytest.mark.parametrize("key", ["clip/media_id", "clip/hand_box", "keypoints/encoded", "image/height"])
def test_missing_feature_is_named(make_extracted, key):
    record = edit(encode_record(make_extracted(), [0]), lambda example: example.context.feature.pop(key))
    with pytest.raises(RecordError, match=f"lacks the feature {key}"):
        decode_record(record, MEDIAPIPE_HOLISTIC)


def test_broken_records_are_named(make_extracted):
    whole = encode_record(make_extracted(), [0])

    def shorten(example):
        values = example.context.feature["keypoints/encoded"].bytes_list.value
        values[0] = values[0][:-2]

    def drop_times(example):
        del example.feature_lists.feature_list["image/timestamp"]

    def spoil_text(example):
        example.context.feature["clip/signer"].bytes_list.value[0] = b"\xff"

    for change, message in (
        (shorten, r"keypoints/encoded holds 4886 values instead of 3 x 543 x 3"),
        (drop_times, "lacks the feature list image/timestamp"),
        (spoil_text, "clip/signer is not UTF-8 text"),
        (lambda example: example.context.feature.pop("clip/label/index"), "lacks the feature clip/label/index"),
    ):
        with pytest.raises(RecordError, match=message):
            decode_record(edit(whole, change), MEDIAPIPE_HOLISTIC)
    with pytest.raises(RecordError, match="is no SequenceExample"):
        decode_record(b"\xff" * 20, None)
