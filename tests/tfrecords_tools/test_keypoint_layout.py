import pytest

from tfrecords_tools.keypoint_layout import LAYOUTS, MEDIAPIPE_HOLISTIC


def test_holistic_has_its_543_points_in_order():
    assert len(MEDIAPIPE_HOLISTIC.names) == len(set(MEDIAPIPE_HOLISTIC.names)) == 543
    assert MEDIAPIPE_HOLISTIC.row("pose/nose") == 0
    assert MEDIAPIPE_HOLISTIC.row("pose/left_wrist") == 15
    assert MEDIAPIPE_HOLISTIC.row("left_hand/wrist") == 33 + 468
    assert MEDIAPIPE_HOLISTIC.row("right_hand/pinky_tip") == 542
    assert LAYOUTS["mediapipe_holistic"] is MEDIAPIPE_HOLISTIC


def test_mirroring_twice_is_identity():
    permutation = MEDIAPIPE_HOLISTIC.mirror_permutation
    assert [permutation[row] for row in permutation] == list(range(543))
    assert permutation[MEDIAPIPE_HOLISTIC.row("left_hand/thumb_tip")] == MEDIAPIPE_HOLISTIC.row(
        "right_hand/thumb_tip"
    )
    assert permutation[0] == 0


def test_unknown_point_is_named():
    with pytest.raises(KeyError, match="pose/tail"):
        MEDIAPIPE_HOLISTIC.row("pose/tail")
