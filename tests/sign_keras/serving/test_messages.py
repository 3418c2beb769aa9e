import json
import struct

import numpy as np
import pytest

from sign_keras.serving.messages import (
    BadMessageError,
    Finish,
    PictureFrame,
    Token,
    bones,
    landmark_groups,
    parse_binary,
    parse_text,
)
from tests.sign_keras.serving.hand_artefact import signing
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

K = len(MEDIAPIPE_HOLISTIC.names)


@pytest.fixture
def landmarks():
    """543 points, of which those of the left hand were not found."""
    return next(signing("up"))[1]


def binary(kind: bytes, seconds: float, content: bytes) -> bytes:
    return struct.pack("<4sd", kind, seconds) + content


def as_points(landmarks: np.ndarray) -> list[list[float] | None]:
    return [None if np.isnan(point).any() else point.tolist() for point in landmarks.astype(np.float64)]


def test_landmarks_arrive_as_they_were_sent(landmarks):
    sent = [
        binary(b"SKL1", 1.5, landmarks.tobytes()),
        json.dumps({"type": "landmarks", "seconds": 1.5, "landmarks": as_points(landmarks)}),
        json.dumps(
            {
                "type": "landmarks",
                "seconds": 1.5,
                "landmarks": {
                    group: None if group == "left_hand" else as_points(landmarks[rows])
                    for group, rows in MEDIAPIPE_HOLISTIC.group_slices.items()
                },
            }
        ),
    ]
    for message in sent:
        parse = parse_text if isinstance(message, str) else parse_binary
        frame = parse(message, MEDIAPIPE_HOLISTIC)
        assert frame.seconds == 1.5
        assert frame.landmarks.dtype == np.float32
        np.testing.assert_array_equal(frame.landmarks, landmarks)


def test_a_picture_has_the_time_it_is_sent_with_or_none():
    jpeg = b"\xff\xd8 and so on"
    assert parse_binary(jpeg, MEDIAPIPE_HOLISTIC) == PictureFrame(None, jpeg)
    assert parse_binary(binary(b"SKJ1", 2.0, jpeg), MEDIAPIPE_HOLISTIC) == PictureFrame(2.0, jpeg)


def test_other_messages():
    assert parse_text('{"type": "finish"}', MEDIAPIPE_HOLISTIC) == Finish()
    assert parse_text('{"type": "token", "token": "t"}', MEDIAPIPE_HOLISTIC) == Token("t")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a JPEG, SKJ1 or SKL1"),
        (b"SKL1", "expected a JPEG"),
        (b"\x89PNG and more than a header", "begins with b'\\x89PNG'"),
        (binary(b"SKL1", 0.0, b"123"), "landmarks of 3 bytes; expected 6516"),
        (binary(b"SKL1", -1.0, bytes(K * 12)), "seconds: -1.0"),
        (binary(b"SKL1", float("nan"), bytes(K * 12)), "seconds: nan"),
        (binary(b"SKJ1", float("inf"), b"x"), "seconds: inf"),
        (binary(b"SKL1", 0.0, np.full((K, 3), 640, "<f4").tobytes()), "up to 640; expected frame widths"),
    ],
)
def test_binary_messages_that_are_none(content, reason):
    with pytest.raises(BadMessageError) as found:
        parse_binary(content, MEDIAPIPE_HOLISTIC)
    assert reason in str(found.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "without a known type"),
        ('{"type": "other"}', "without a known type"),
        ('{"type": "token", "token": 3}', "without a known type"),
        ('{"type": "landmarks"}', "NoneType; expected a list of 543"),
        ('{"type": "landmarks", "landmarks": [[1, 2, 3]]}', "1 points; expected a list of 543"),
        ('{"type": "landmarks", "landmarks": {"nose": []}}', "'nose'; expected pose, face"),
        ('{"type": "landmarks", "landmarks": {"left_hand": 3}}', "left_hand: int; expected a list of 21"),
        ('{"type": "landmarks", "landmarks": {}}', "seconds: None"),
        ('{"type": "landmarks", "landmarks": {}, "seconds": true}', "seconds: True"),
        ('{"type": "landmarks", "landmarks": {}, "seconds": 1e400}', "seconds: inf"),
    ],
)
def test_text_messages_that_are_none(content, reason):
    with pytest.raises(BadMessageError) as found:
        parse_text(content, MEDIAPIPE_HOLISTIC)
    assert reason in str(found.value)


@pytest.mark.parametrize("point", ["[1, 2]", "[1, 2, 3, 4]", '"abc"', "[[1], 2, 3]", '[1, "x", 2]', "{}", "3"])
def test_points_are_three_numbers(point):
    content = f'{{"type": "landmarks", "seconds": 0, "landmarks": {{"left_hand": [{", ".join([point] * 21)}]}}}}'
    with pytest.raises(BadMessageError, match="left_hand: expected 21 points"):
        parse_text(content, MEDIAPIPE_HOLISTIC)


def test_what_is_drawn_names_rows_of_its_group(landmarks):
    groups = landmark_groups(landmarks, MEDIAPIPE_HOLISTIC)
    assert groups["left_hand"] is None
    shoulder = dict(MEDIAPIPE_HOLISTIC.groups)["pose"].index("left_shoulder")
    assert groups["pose"][shoulder] == pytest.approx([0.6, 0.5])
    assert json.loads(json.dumps(groups)) == groups
    lines = bones(MEDIAPIPE_HOLISTIC)
    assert [shoulder, shoulder + 1] in lines["pose"]
    assert max(max(pair) for pair in lines["right_hand"]) == 20
