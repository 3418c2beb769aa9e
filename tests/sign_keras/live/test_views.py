"""Frames of a camera on the way to what is shown: none waits in a line, none is shown out of turn."""

import threading
from collections import deque

import numpy as np
import pytest

from sign_keras.inference.stream import SignStream
from sign_keras.inference.stream_settings import StreamSettings
from sign_keras.live import views
from sign_keras.live.newest import NewestFrame
from sign_keras.live.views import CameraViews, file_views
from tests.sign_keras.inference.landmark_streams import Recogniser, stream
from tfrecords_tools.camera import CameraError
from tfrecords_tools.video import Frame

IMAGE = np.zeros((48, 48, 3), np.uint8)


class Camera:
    """Gives frames when it is told to; its picture holds the frame's number."""

    def __init__(self, seconds):
        self.seconds, self.number = seconds, 0
        self.may_read = threading.Semaphore(0)

    def read(self):
        self.may_read.acquire()
        if self.number == len(self.seconds):
            raise CameraError("camera 0: has stopped giving frames")
        self.number += 1
        return Frame(np.full_like(IMAGE, self.number - 1), self.seconds[self.number - 1])


class Process:
    """Finds landmarks at once."""

    def __init__(self, found):
        self.found, self.sent, self.most = found, deque(), 0

    def send(self, image):
        self.sent.append(int(image[0, 0, 0]))
        self.most = max(self.most, len(self.sent))

    def receive(self):
        return self.found[self.sent.popleft()]


def wait_for(condition):
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("waited for nothing")


def test_the_newest_frame_is_taken_and_others_are_counted():
    camera = Camera([0.0, 1.0, 2.0, 3.0])
    with NewestFrame(camera) as newest:
        assert newest.take(timeout=0.0) is None
        camera.may_read.release(3)
        wait_for(lambda: newest.num_dropped == 2)
        assert newest.take(timeout=1.0).seconds == 2.0
        assert newest.take(timeout=0.0) is None
        camera.may_read.release(2)
        wait_for(lambda: camera.number == 4)
        newest._thread.join(timeout=5)
        assert newest.take(timeout=1.0).seconds == 3.0
        with pytest.raises(CameraError, match="has stopped"):
            newest.take(timeout=1.0)
    assert newest.num_dropped == 2


def test_views_of_a_camera_have_landmarks_of_their_own_frame_and_what_happened():
    frames = list(stream())
    camera = Camera([100.0 + seconds for seconds, _ in frames])
    process = Process([points for _, points in frames])
    engine = SignStream(Recogniser(), StreamSettings())
    found = []
    shown = CameraViews(camera, engine, process)
    camera.may_read.release()
    views_seen = iter(shown)
    for _ in frames:
        found.append(next(views_seen))
        camera.may_read.release()  # the next one, once this was shown
    with pytest.raises(CameraError, match="has stopped"):
        next(views_seen)
    assert shown.num_frames == len(found) == len(frames)
    for number, view in enumerate(found):
        assert view.frame.image[0, 0, 0] == number
        assert view.frame.seconds == pytest.approx(frames[number][0])
        np.testing.assert_array_equal(view.frame.landmarks, frames[number][1])
    assert found[-1].screen.glosses == ("up", "aside")
    assert [event.gloss for view in found for event in view.events if event.kind == "sign"] == ["up", "aside"]


def test_frames_that_come_too_fast_are_left_out():
    frames = list(stream())[:50]
    camera = Camera([seconds for seconds, _ in frames])
    process = Process([points for _, points in frames])
    shown = CameraViews(camera, SignStream(Recogniser(), StreamSettings()), process)
    views_seen = iter(shown)
    camera.may_read.release()
    first = next(views_seen)
    camera.may_read.release(len(frames))  # all the others, and its end, while one is shown
    wait_for(lambda: camera.number == len(frames))
    with pytest.raises(CameraError, match="has stopped"):
        deque(views_seen, maxlen=0)
    assert first.frame.seconds == 0.0
    assert process.most <= views.FRAMES_UNDER_WAY
    assert shown.num_dropped >= len(frames) - 4
    assert shown.num_dropped + shown.num_frames >= len(frames) - 1


def test_a_file_ends_with_what_its_last_frame_ends(monkeypatch):
    cut = [frame for frame in stream() if frame[0] < 1.7]  # in the midst of a sign
    seen = [views.SeenFrame(IMAGE, seconds, points) for seconds, points in cut]
    monkeypatch.setattr(views, "seen_frames", lambda _: iter(seen))
    engine = SignStream(Recogniser(), StreamSettings())
    found = list(file_views("a.mp4", engine))
    assert len(found) == len(cut)
    assert [event.kind for event in found[-1].events] == ["sign", "sign_ended"]
    assert found[-1].screen.glosses == ("up",)
    assert found[-1].screen.num_dropped is None
    assert engine.finish() == []
