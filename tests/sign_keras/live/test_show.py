import json

import numpy as np
import pytest

from sign_keras.inference.file_stream import SeenFrame
from sign_keras.inference.stream import StreamEvent
from sign_keras.live.drawing import Screen
from sign_keras.live.show import Show
from sign_keras.live.views import View
from tests.sign_keras.inference.landmark_streams import landmarks
from tfrecords_tools.command_line import UserError
from tfrecords_tools.video import open_video
from tfrecords_tools.window import ESCAPE

SIGN = StreamEvent("sign", 0.3, 0.1, 0.2, "hallo wörld", 0.75)
LAST = StreamEvent("sign_ended", 0.9, 0.1, 0.8)


def views(moments=(0.0, 0.1, 0.3, 0.4, 0.5)):
    for seconds in moments:
        frame = SeenFrame(np.full((64, 64, 3), 90, np.uint8), seconds, landmarks())
        yield View(frame, Screen((), False, (), seconds), [SIGN] if seconds == 0.3 else [])


class Window:
    """Presses its keys one after the other."""

    def __init__(self, *keys):
        self.keys, self.shown = list(keys), []

    def show(self, image):
        self.shown.append(image)
        return self.keys.pop(0) if self.keys else None


def num_frames(path):
    with open_video(path) as video:
        return sum(1 for _ in video.frames)


@pytest.mark.parametrize("key", ["q", ESCAPE])
def test_keys_end_it_and_what_was_shown_is_written(key, tmp_path, capsys):
    window = Window(None, "x", key)
    Show(window, tmp_path / "a.mp4", 10.0, is_live=True).run(views(), lambda: [LAST])
    assert len(window.shown) == 3
    assert num_frames(tmp_path / "a.mp4") >= 1
    assert capsys.readouterr().out == "   0.10 to    0.20 s  hallo wörld  75%\n"


def test_events_are_lines_of_json_the_last_ones_too(capsys):
    Show(None, None, 10.0, is_live=False, as_json=True).run(views(), lambda: [LAST])
    found = [StreamEvent(**json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    assert found == [SIGN, LAST]


def test_of_a_video_every_frame_is_written_and_of_a_camera_every_moment(tmp_path):
    Show(None, tmp_path / "video.mp4", 25.0, is_live=False).run(views(), list)
    Show(None, tmp_path / "camera.mp4", 20.0, is_live=True).run(views(), list)
    assert num_frames(tmp_path / "video.mp4") == 5
    # From 0 to 0.5 seconds, and the last frame for a mean interval.
    assert num_frames(tmp_path / "camera.mp4") == pytest.approx(0.625 * 20, abs=1)


def test_it_ends_after_so_many_seconds():
    window = Window()
    Show(window, None, 20.0, is_live=True, seconds=0.25).run(views(), list)
    assert len(window.shown) == 3


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(UserError, match=r"a\.mp4: cannot be written"):
        Show(None, tmp_path / "a.mp4", 20.0, is_live=False).run(views(), list)


def test_it_ends_after_so_many_seconds_with_nothing_to_show_either():
    shown = views()
    Show(None, None, 20.0, is_live=True, seconds=0.25).run(shown, list)
    assert len(list(shown)) == 2
