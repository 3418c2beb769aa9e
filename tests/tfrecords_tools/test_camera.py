import numpy as np
import pytest

from tfrecords_tools import camera as cameras
from tfrecords_tools.camera import CameraError, DeviceCamera, FileCamera
from tfrecords_tools.video import VideoError


def test_a_file_plays_in_real_time(tmp_path, make_video):
    moments, now = [], [100.0]

    def sleep(seconds: float) -> None:
        moments.append(seconds)
        now[0] += seconds

    with FileCamera(make_video(tmp_path / "a.mp4", frame_rate=10), clock=lambda: now[0], sleep=sleep) as camera:
        first = camera.read()
        now[0] += 0.06  # somebody else's work
        assert camera.read().seconds == pytest.approx(0.1)
    assert first.seconds == 0
    assert moments == pytest.approx([0, 0.04])


def test_a_file_that_ends_is_a_camera_that_stops(tmp_path, make_video):
    with FileCamera(make_video(tmp_path / "a.mp4", num_frames=2), real_time=False) as camera:
        camera.read()
        camera.read()
        with pytest.raises(CameraError, match=r"a.mp4: the video has ended"):
            camera.read()
    with pytest.raises(VideoError, match="no such file"):
        FileCamera(tmp_path / "missing.mp4")


class FakeCapture:
    """In the place of OpenCV's: blue pictures, as many as said."""

    def __init__(self, frames: int) -> None:
        self.left, self.released = frames, False

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return self.left >= 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        image = np.zeros((4, 6, 3), np.uint8)
        image[..., 0] = 200
        return (True, image) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize(
    ("frames", "message"), [(-1, "camera 3: cannot be opened"), (0, "camera 3: opens, but gives no frame")]
)
def test_a_camera_that_does_not_work(monkeypatch, frames, message):
    monkeypatch.setattr(cameras.cv2, "VideoCapture", lambda index: FakeCapture(frames))
    with pytest.raises(CameraError, match=message):
        DeviceCamera(3)


def test_a_camera_gives_rgb_with_the_moment_and_is_freed(monkeypatch):
    capture = FakeCapture(3)
    monkeypatch.setattr(cameras.cv2, "VideoCapture", lambda index: capture)
    with DeviceCamera(0, clock=iter([5.0, 5.5, 6.0]).__next__) as camera:
        frames = [camera.read(), camera.read()]
        with pytest.raises(CameraError, match="camera 0: has stopped giving frames"):
            camera.read()
    assert [frame.seconds for frame in frames] == [5.0, 5.5]
    assert frames[0].image[0, 0].tolist() == [0, 0, 200]
    assert capture.released
