import numpy as np
import pytest

from tfrecords_tools.crop import FULL_FRAME, CropBox, cut, hand_crop
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints


def make_keypoints(num_frames=10, hands=(), body=False) -> ClipKeypoints:
    """``hands``: (frame, group, x, y) where a hand of 0.1 x 0.1 has its top left corner."""
    points = np.full((num_frames, 543, 3), np.nan, np.float16)
    presence = np.zeros((num_frames, 4), bool)
    for frame, group, x, y in hands:
        rows = MEDIAPIPE_HOLISTIC.group_slices[group]
        points[frame, rows] = 0
        points[frame, rows, 0] = np.linspace(x, x + 0.1, 21)
        points[frame, rows, 1] = np.linspace(y, y + 0.1, 21)
        presence[frame, 2 + (group == "right_hand")] = True
    if body:
        points[:, MEDIAPIPE_HOLISTIC.group_slices["pose"]] = 0.5
        points[:, MEDIAPIPE_HOLISTIC.row("pose/left_elbow"), :2] = (0.7, 0.6)
        points[:, MEDIAPIPE_HOLISTIC.row("pose/right_elbow"), :2] = (0.3, 0.6)
        presence[:, 0] = True
    return ClipKeypoints(points, np.zeros((num_frames, 33), np.float16), presence)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (500, 500)])
def test_square_around_both_hands_over_the_clip(width, height):
    hands = [(0, "left_hand", 0.2, 0.3), (5, "right_hand", 0.6, 0.5), (9, "left_hand", 0.3, 0.4)]
    box = hand_crop(make_keypoints(hands=hands), width, height, margin=0.25)
    assert box.origin == "hands"
    sides = (box.x1 - box.x0) * width, (box.y1 - box.y0) * height
    assert sides[0] == pytest.approx(sides[1])
    assert sides[0] == pytest.approx(max(0.5 * width, 0.3 * height) * 1.25, rel=0.01)
    assert box.x0 < 0.2 < 0.7 < box.x1
    assert box.y0 < 0.3 < 0.6 < box.y1


def test_points_outside_the_picture_do_not_stretch_the_box():
    hands = [(frame, "left_hand", -3.0, 0.5) for frame in range(5)]
    box = hand_crop(make_keypoints(hands=hands), 100, 100, margin=0)
    assert box.x0 == pytest.approx(-0.15)
    assert box.x1 == pytest.approx(0.15)


def test_a_stray_hand_is_not_trusted():
    stray = [(3, "left_hand", 0.9, 0.9)]
    assert hand_crop(make_keypoints(20, stray), 100, 100, 0.25) == FULL_FRAME
    box = hand_crop(make_keypoints(20, stray, body=True), 100, 100, 0.25)
    assert box.origin == "upper_body"
    assert (box.x0, box.x1) == pytest.approx((0.2, 0.8), abs=0.01)


def test_nobody_in_the_picture_is_the_full_frame():
    assert hand_crop(make_keypoints(), 100, 100, 0.25) == FULL_FRAME


def test_tiny_box_is_enlarged():
    box = hand_crop(make_keypoints(hands=[(i, "left_hand", 0.5, 0.5) for i in range(9)]), 400, 200, 0.0)
    assert (box.y1 - box.y0) == pytest.approx(0.3)


def test_cut_continues_the_picture_by_its_edges():
    image = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
    inside = cut(image, CropBox(0.2, 0.25, 0.6, 0.75, "hands"))
    np.testing.assert_array_equal(inside, image[2:6, 2:6])
    beyond = cut(image, CropBox(-0.2, -0.25, 0.6, 0.75, "hands"))
    assert beyond.shape == (8, 8, 3)
    np.testing.assert_array_equal(beyond[2:, 2:], image[:6, :6])
    np.testing.assert_array_equal(beyond[0, 2:], image[0, :6])
    np.testing.assert_array_equal(beyond[2:, 0], image[:6, 0])
    assert cut(image, FULL_FRAME) is image


def test_cut_is_square_for_every_box():
    image = np.zeros((97, 131, 3), np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(100):
        x, y, side = rng.uniform(0, 131), rng.uniform(0, 97), rng.uniform(29, 150)
        box = CropBox((x - side / 2) / 131, (y - side / 2) / 97, (x + side / 2) / 131, (y + side / 2) / 97, "hands")
        height, width, _ = cut(image, box).shape
        assert height == width
        assert abs(height - side) <= 1
