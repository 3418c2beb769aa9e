import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tfrecords_tools import extract
from tfrecords_tools.clips import Clip, ClipSpec, CropSpec
from tfrecords_tools.crop import FULL_FRAME, CropBox, cut, hand_crop
from tfrecords_tools.extract import extract_clip
from tfrecords_tools.keypoint_layout import HAND_POINTS, MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.schema import decode_record, encode_record
from tfrecords_tools.synthetic import JOINT_NAMES, RenderedClip, make_signer, render_clip
from tfrecords_tools.video import write_video


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


# Against the renderer, which knows where the hands are.

NAMED_ROWS = list(MEDIAPIPE_HOLISTIC.rows(JOINT_NAMES))
HANDS = [[JOINT_NAMES.index(f"{group}/{point}") for point in HAND_POINTS] for group in ("left_hand", "right_hand")]


def hands_seen(clip: RenderedClip) -> np.ndarray:
    """``[T, 2]`` bool: whether any joint of the left and of the right hand is in the picture."""
    inside = ((clip.joints >= 0) & (clip.joints <= 1)).all(axis=-1)
    return np.stack([inside[:, rows].any(axis=1) for rows in HANDS], axis=1)


def true_keypoints(clip: RenderedClip) -> ClipKeypoints:
    """What a perfect keypoint model would find: each hand that is seen, with the points that are out of view."""
    num_frames = len(clip.frames)
    points = np.full((num_frames, 543, 3), np.nan, np.float32)
    points[:, NAMED_ROWS, :2], points[:, NAMED_ROWS, 2] = clip.joints, 0
    presence = np.column_stack([np.ones(num_frames, bool), np.zeros(num_frames, bool), hands_seen(clip)])
    for side, group in enumerate(("left_hand", "right_hand")):
        points[~hands_seen(clip)[:, side], MEDIAPIPE_HOLISTIC.group_slices[group]] = np.nan
    return ClipKeypoints(points.astype(np.float16), np.ones((num_frames, 33), np.float16), presence)


@pytest.fixture(scope="module")
def rendered() -> list[RenderedClip]:
    """Signers of several framings, left-handed ones among them, in pictures of several shapes."""
    choices = (("hello", 0.8), ("same", 1.0), ("happy", 1.3), ("wait", 1.0), ("play", 1.6))
    return [
        render_clip(make_signer(0, index), [gloss], np.random.default_rng(index), 64, 12.0, aspect)
        for index, (gloss, aspect) in enumerate(choices)
    ]


@pytest.mark.parametrize("margin", [0.0, 0.25, 1.0])
def test_crop_holds_all_true_hand_joints_in_view_and_has_the_margin(rendered, margin):
    for clip in rendered:
        height, width = clip.frames.shape[1:3]
        box = hand_crop(true_keypoints(clip), width, height, margin)
        assert box.origin == "hands"
        seen = hands_seen(clip)
        joints = np.concatenate([clip.joints[seen[:, side]][:, rows] for side, rows in enumerate(HANDS)])
        assert len(joints) > len(clip.frames) / 4
        joints = joints.reshape(-1, 2)
        in_view = joints[((joints >= 0) & (joints <= 1)).all(axis=1)]
        low, high = np.clip(joints, 0, 1).min(axis=0), np.clip(joints, 0, 1).max(axis=0)
        rounding = 1e-3  # records, and so crops, know joints to float16
        assert (in_view >= np.array([box.x0, box.y0]) - rounding).all()
        assert (in_view <= np.array([box.x1, box.y1]) + rounding).all()
        side = (box.x1 - box.x0) * width
        assert side == pytest.approx((box.y1 - box.y0) * height)  # square in pixels
        longer = ((high - low) * (width, height)).max()
        assert side == pytest.approx(max(longer * (1 + margin), 0.3 * min(width, height)), rel=0.01)
        middle = (low + high) / 2
        assert middle == pytest.approx(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2), abs=2e-3)


class TruthExtractor:
    """Stands in for MediaPipe with known keypoints, one clip's."""

    def __init__(self, keypoints: ClipKeypoints) -> None:
        self._keypoints = keypoints

    def start_clip(self) -> None: ...

    def add_frame(self, image: np.ndarray) -> None: ...

    def finish_clip(self) -> ClipKeypoints:
        return self._keypoints


def convert_with(keypoints: ClipKeypoints, clip: RenderedClip, path, monkeypatch) -> dict:
    """The record that convert would write with these keypoints, as it is read back."""
    write_video(path, clip.frames, clip.frame_rate)
    monkeypatch.setattr(extract, "_holistic", lambda static: TruthExtractor(keypoints))
    spec = ClipSpec(crop=CropSpec(mode="hands"), short_side=256, jpeg_quality=100)
    extracted = extract_clip(Clip(str(path), ("x",), "x"), spec)
    return decode_record(encode_record(extracted, [0]), MEDIAPIPE_HOLISTIC)


def test_record_shows_the_same_square_in_every_frame(rendered, tmp_path, monkeypatch):
    clip = rendered[1]
    keypoints = true_keypoints(clip)
    record = convert_with(keypoints, clip, tmp_path / "a.mp4", monkeypatch)
    height, width = clip.frames.shape[1:3]
    box = hand_crop(keypoints, width, height, CropSpec().margin)
    assert record["crop_origin"] == "hands"
    np.testing.assert_allclose(record["hand_box"], box.as_array())
    assert record["width"] == record["height"] == pytest.approx((box.x1 - box.x0) * width, abs=1)
    assert len(record["jpegs"]) == len(clip.frames)
    for jpeg, frame in zip(record["jpegs"], clip.frames, strict=True):
        shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        wanted = cut(frame, box)
        assert shown.shape == wanted.shape
        assert np.abs(shown.astype(int) - wanted).mean() < 8  # two lossy codecs lie between them


def test_record_says_what_its_crop_was_made_from(rendered, tmp_path, monkeypatch):
    clip = rendered[1]
    truth = true_keypoints(clip)
    no_hands = truth.presence & [True, True, False, False]
    body = ClipKeypoints(truth.points, truth.visibility, no_hands)
    record = convert_with(body, clip, tmp_path / "body.mp4", monkeypatch)
    assert record["crop_origin"] == "upper_body"
    x0, y0, x1, y1 = record["hand_box"]
    shoulders = clip.joints[:, [JOINT_NAMES.index(f"pose/{side}_shoulder") for side in ("left", "right")]]
    assert (shoulders[..., 0] > x0).all()
    assert (shoulders[..., 0] < x1).all()
    assert (shoulders[..., 1] > y0).all()
    assert (shoulders[..., 1] < y1).all()
    nobody = ClipKeypoints(np.full_like(truth.points, np.nan), truth.visibility, np.zeros_like(truth.presence))
    record = convert_with(nobody, clip, tmp_path / "nobody.mp4", monkeypatch)
    assert record["crop_origin"] == "full"
    assert record["hand_box"].tolist() == [0, 0, 1, 1]
    assert (record["height"], record["width"]) == clip.frames.shape[1:3]


# MediaPipe is to be loaded by a process without TensorFlow, so it gets one of its own.
MEDIAPIPE_SCRIPT = """
import json
import numpy as np
from tfrecords_tools.crop import hand_crop
from tfrecords_tools.keypoint_layout import HAND_POINTS
from tfrecords_tools.keypoints import HolisticExtractor
from tfrecords_tools.synthetic import CORE_GLOSSES, JOINT_NAMES, make_signer, render_clip

hands = [[JOINT_NAMES.index(f"{group}/{point}") for point in HAND_POINTS] for group in ("left_hand", "right_hand")]
extractor = HolisticExtractor()
inside, origins = [], []
for index in range(12):
    gloss = CORE_GLOSSES[index % len(CORE_GLOSSES)]
    clip = render_clip(make_signer(3, index), [gloss], np.random.default_rng(index), 256, 12.0)
    extractor.start_clip()
    for frame in clip.frames:
        extractor.add_frame(frame)
    height, width = clip.frames.shape[1:3]
    box = hand_crop(extractor.finish_clip(), width, height, 0.25)
    origins.append(box.origin)
    for frame, in_view in enumerate(clip.hand_in_view):
        joints = np.concatenate([clip.joints[frame, rows] for rows, seen in zip(hands, in_view) if seen] or [[]])
        if len(joints):
            inside.append(bool((joints > (box.x0, box.y0)).all() and (joints < (box.x1, box.y1)).all()))
print(json.dumps([len(inside), float(np.mean(inside)), origins]))
"""


@pytest.mark.slow
def test_crop_by_mediapipe_holds_the_true_hands():
    result = subprocess.run([sys.executable, "-c", MEDIAPIPE_SCRIPT], capture_output=True, text=True, check=True)
    frames, share, origins = json.loads(result.stdout.splitlines()[-1])
    assert frames > 150
    assert set(origins) == {"hands"}
    assert share >= 0.99
