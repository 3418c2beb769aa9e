import numpy as np
import pytest

from sign_keras.data.clip import prepare_clip
from sign_keras.data.parsing import parse_record
from sign_keras.data.pieces import clip_pieces
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.schema import encode_record

NAMES = ("frames", "keypoints", "frame_mask")


@pytest.mark.parametrize("frame_rate", [25.0, 15.0, 30.0])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_pieces_are_what_a_model_with_room_for_all_of_it_sees(make_extracted, frame_rate, size):
    """At the clip's own rate, at less, and at more."""
    parsed = parse_record(encode_record(make_extracted(11), label_ids=[0]), MEDIAPIPE_HOLISTIC)
    sampling = SamplingSpec(num_frames=3, frame_rate=frame_rate, height=16, width=16)
    pieces = list(clip_pieces(parsed, sampling, NAMES, size))
    found = {name: np.concatenate([piece[name].numpy() for piece in pieces]) for name in NAMES}
    whole = prepare_clip(parsed, sampling.model_copy(update={"num_frames": 20}), NAMES)
    real = whole["frame_mask"].numpy()
    assert found["frame_mask"].tolist() == [True] * real.sum()
    for name in ("frames", "keypoints"):
        np.testing.assert_array_equal(found[name], whole[name].numpy()[real])
    assert {len(piece["frames"]) for piece in pieces[:-1]} <= {size}


def test_of_a_model_of_keypoints_no_frame_is_decoded(make_extracted):
    parsed = parse_record(encode_record(make_extracted(5, frames=False), label_ids=[0]), MEDIAPIPE_HOLISTIC)
    sampling = SamplingSpec(num_frames=3, frame_rate=25, height=16, width=16)
    (piece,) = clip_pieces(parsed, sampling, ("keypoints",), 8)
    assert piece["keypoints"].shape == (5, 543, 3)
