import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tfrecords_tools import extract
from tfrecords_tools.clips import Clip, ClipSpec, CropSpec
from tfrecords_tools.extract import ExtractedClip, SkippedClip, extract_clip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints

FRAMES_ONLY = ClipSpec(keypoints=None)


def make_clip(path: Path, **values: object) -> Clip:
    return Clip(**{"path": str(path), "glosses": ("x",), "media_id": path.name} | values)


def decode(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_frames_are_shrunk_never_enlarged(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", width=96, height=64)
    small = extract_clip(make_clip(path), ClipSpec(keypoints=None, short_side=32))
    large = extract_clip(make_clip(path), ClipSpec(keypoints=None, short_side=500))
    assert isinstance(small, ExtractedClip)
    assert isinstance(large, ExtractedClip)
    assert (small.width, small.height) == (48, 32)
    assert {decode(jpeg).shape for jpeg in small.jpegs} == {(32, 48, 3)}
    assert (large.width, large.height) == (96, 64)
    assert len(small.jpegs) == len(small.seconds) == 8
    assert small.frame_rate == 25


def test_pixel_moments_are_those_of_the_stored_frames(tmp_path, make_video):
    extracted = extract_clip(make_clip(make_video(tmp_path / "a.mp4")), ClipSpec(keypoints=None, jpeg_quality=100))
    pixels = np.concatenate([decode(jpeg).reshape(-1, 3) for jpeg in extracted.jpegs]).astype(float)
    assert extracted.pixels.count == len(pixels)
    mean, deviation = extracted.pixels.mean_and_deviation()
    np.testing.assert_allclose(mean, pixels.mean(axis=0), atol=0.5)
    np.testing.assert_allclose(deviation, pixels.std(axis=0), rtol=0.01)


def test_bbox_is_cut_out(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4")
    extracted = extract_clip(make_clip(path, bbox=(10, 8, 50, 40)), FRAMES_ONLY)
    assert (extracted.width, extracted.height) == (40, 32)
    outside = extract_clip(make_clip(path, bbox=(64, 0, 90, 40)), FRAMES_ONLY)
    assert isinstance(outside, SkippedClip)
    assert outside.reason == "the bbox 64 0 90 40 lies outside the 64x48 picture"


def test_frames_can_be_left_out_only_with_keypoints():
    assert ClipSpec(frames=False).keypoints
    with pytest.raises(ValueError, match="nothing to record"):
        ClipSpec(frames=False, keypoints=None)


@pytest.mark.parametrize("name", ["text.mp4", "missing.mp4"])
def test_what_cannot_be_read_is_skipped(tmp_path, name):
    (tmp_path / "text.mp4").write_text("no video")
    assert isinstance(extract_clip(make_clip(tmp_path / name), FRAMES_ONLY), SkippedClip)


class FakeExtractor:
    """Finds a right hand in the middle of the picture; MediaPipe's stand-in."""

    def start_clip(self):
        self._count = 0

    def add_frame(self, image):
        self._count += 1

    def finish_clip(self):
        points = np.full((self._count, 543, 3), np.nan, np.float16)
        points[:, MEDIAPIPE_HOLISTIC.group_slices["right_hand"]] = 0.5
        presence = np.tile([False, False, False, True], (self._count, 1))
        return ClipKeypoints(points, np.zeros((self._count, 33), np.float16), presence)


def test_hand_crop_is_square_and_the_same_for_all_frames(tmp_path, make_video, monkeypatch):
    monkeypatch.setattr(extract, "_holistic", lambda static: FakeExtractor())
    path = make_video(tmp_path / "a.mp4", width=160, height=120)
    extracted = extract_clip(make_clip(path), ClipSpec(crop=CropSpec(mode="hands")))
    assert extracted.crop_box.origin == "hands"
    assert {decode(jpeg).shape for jpeg in extracted.jpegs} == {(36, 36, 3)}
    assert len(extracted.jpegs) == len(extracted.seconds) == 8


REAL_MEDIAPIPE = """
import json, sys
import numpy as np
from tfrecords_tools.clips import Clip, ClipSpec
from tfrecords_tools.extract import extract_clip
found = [extract_clip(Clip(path, ("x",), path), ClipSpec()) for path in sys.argv[1:] * 2]
print(json.dumps({
    "shapes": [clip.keypoints.points.shape for clip in found],
    "present": [bool(clip.keypoints.presence.any()) for clip in found],
    "nan": [bool(np.isnan(clip.keypoints.points).all()) for clip in found],
    "modules": [name for name in ("tensorflow", "jax") if name in sys.modules],
}))
import importlib.util
assert importlib.util.find_spec("tensorflow")  # loading MediaPipe leaves no trap behind
"""


def test_mediapipe_is_quiet_and_loads_no_tensorflow(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", num_frames=3, width=128, height=128)
    ran = subprocess.run(
        [sys.executable, "-c", REAL_MEDIAPIPE, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
        check=True,
    )
    assert ran.stderr == ""
    assert json.loads(ran.stdout) == {
        "shapes": [[3, 543, 3]] * 2,
        "present": [False] * 2,  # a square is no signer
        "nan": [True] * 2,
        "modules": [],
    }
