import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import REPOSITORY, moving_square
from tfrecords_tools import camera as cameras
from tfrecords_tools import record
from tfrecords_tools.camera import CameraError, DeviceCamera, FileCamera
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import main as convert_main
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.record import draw_screen, main
from tfrecords_tools.recording import (
    LAST_CHANCE_SECONDS,
    SIGNER_PATTERN,
    Phase,
    Screen,
    Session,
    checked_name,
    frame_rate,
    next_path,
    record_session,
    save_clip,
)
from tfrecords_tools.video import Frame, VideoError, open_video


class EndlessCamera:
    """25 frames a second; each frame is grey, as bright as its number."""

    def __init__(self, num_frames: int = 2000, width: int = 64, height: int = 48) -> None:
        self._frames = (
            Frame(np.full((height, width, 3), number % 250, np.uint8), number / 25) for number in range(num_frames)
        )

    def read(self) -> Frame:
        frame = next(self._frames, None)
        if frame is None:
            raise CameraError("the camera has stopped")
        return frame


class Script:
    """A view that presses a key the n-th time a phase is shown, once each."""

    hears_keys = True

    def __init__(self, **keys: list[tuple[int, str]]) -> None:
        self._keys = {Phase(phase): dict(pressed) for phase, pressed in keys.items()}
        self._shown = dict.fromkeys(Phase, 0)
        self.screens: list[Screen] = []

    def show(self, image: np.ndarray, screen: Screen) -> str | None:
        self.screens.append(screen)
        self._shown[screen.phase] += 1
        return self._keys.get(screen.phase, {}).get(self._shown[screen.phase])

    def phases(self) -> list[Phase]:
        """In order, each as long as it lasts once."""
        shown = [screen.phase for screen in self.screens]
        return [phase for index, phase in enumerate(shown) if index == 0 or phase != shown[index - 1]]


def session(folder: Path, count: int = 2, seconds: float = 0.4, countdown: float = 0.2) -> Session:
    return Session(folder, "hello", "anna", count, seconds, countdown)


def run(folder: Path, view: Script, camera: EndlessCamera | None = None, **settings: float) -> list[str]:
    saved: list[Path] = []
    record_session(camera or EndlessCamera(), view, session(folder, **settings), saved)
    return [path.relative_to(folder).as_posix() for path in saved]


def frames_of(path: Path) -> list[Frame]:
    with open_video(path) as video:
        return list(video.frames)


# The session.


def test_clips_have_their_length_and_begin_after_the_countdown(tmp_path):
    assert run(tmp_path, Script()) == ["hello/anna_01.mp4", "hello/anna_02.mp4"]
    first = frames_of(tmp_path / "hello" / "anna_01.mp4")
    assert len(first) == 10  # 0.4 s at 25 frames a second
    # 5 frames of countdown, one that ends it.
    assert [frame.image.mean() for frame in first] == pytest.approx(np.arange(6, 16), abs=1.5)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["anna_01.mp4", "anna_02.mp4"]


def test_numbers_go_on_and_nothing_is_overwritten(tmp_path):
    folder = tmp_path / "hello"
    folder.mkdir()
    for name in ("anna_07.mp4", "anna_2.MOV", "anna_99.txt", "bob_50.mp4", "anna_b_60.mp4"):
        (folder / name).write_bytes(b"precious")
    assert run(tmp_path, Script()) == ["hello/anna_08.mp4", "hello/anna_09.mp4"]
    assert run(tmp_path, Script(), count=1) == ["hello/anna_10.mp4"]
    assert (folder / "anna_07.mp4").read_bytes() == b"precious"


def test_numbers_heed_case_and_composed_letters(tmp_path):
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "Zoe\u0308_03.mp4").touch()
    of_zoe = Session(tmp_path, "hello", checked_name("--signer", "zo\u00eb"), 1, 1, 1)
    assert next_path(of_zoe).name == "zo\u00eb_04.mp4"


def test_space_pauses_and_drops_the_clip_under_way(tmp_path):
    view = Script(recording=[(4, " ")], paused=[(6, " ")])
    assert run(tmp_path, view, count=1) == ["hello/anna_01.mp4"]
    assert view.phases() == ["countdown", "recording", "paused", "countdown", "recording", "finished"]
    assert len(frames_of(tmp_path / "hello" / "anna_01.mp4")) == 10


def test_repeat_deletes_the_last_clip_after_confirmation(tmp_path):
    view = Script(countdown=[(7, "r")], confirming=[(3, "y")])
    assert run(tmp_path, view) == ["hello/anna_01.mp4", "hello/anna_02.mp4"]
    asked = [screen for screen in view.screens if screen.phase == Phase.CONFIRMING]
    assert {screen.last_clip for screen in asked} == {"anna_01.mp4"}
    first = frames_of(tmp_path / "hello" / "anna_01.mp4")
    assert first[0].image.mean() > 20  # the second try, not the first


def test_repeat_keeps_the_clip_without_confirmation(tmp_path):
    view = Script(countdown=[(7, "r")], confirming=[(3, "x")])
    assert run(tmp_path, view) == ["hello/anna_01.mp4", "hello/anna_02.mp4"]
    assert frames_of(tmp_path / "hello" / "anna_01.mp4")[0].image.mean() < 10


def test_nothing_to_repeat_at_the_beginning(tmp_path):
    view = Script(countdown=[(2, "r")])
    assert len(run(tmp_path, view)) == 2
    assert Phase.CONFIRMING not in view.phases()


def test_the_last_clip_can_be_repeated_too(tmp_path):
    view = Script(finished=[(10, "r")], confirming=[(1, "y")])
    assert run(tmp_path, view, count=1) == ["hello/anna_01.mp4"]
    assert view.phases()[-5:] == ["finished", "confirming", "countdown", "recording", "finished"]
    assert frames_of(tmp_path / "hello" / "anna_01.mp4")[0].image.mean() > 20
    assert view.screens[-1].seconds_left == pytest.approx(1 / 25)
    assert view.phases().count(Phase.FINISHED) == 2
    assert sum(screen.phase == Phase.FINISHED for screen in view.screens) == 10 + LAST_CHANCE_SECONDS * 25


@pytest.mark.parametrize(("phase", "saved"), [("countdown", 1), ("recording", 1), ("paused", 1), ("confirming", 1)])
def test_q_quits_at_any_time(tmp_path, phase, saved):
    quits = {"countdown": [(7, "q")], "recording": [(12, "q")]}
    others = {
        "paused": {"countdown": [(7, " ")], "paused": [(2, "q")]},
        "confirming": {"countdown": [(7, "r")], "confirming": [(2, "q")]},
    }
    view = Script(**others.get(phase, {phase: quits.get(phase, [])}))
    assert len(run(tmp_path, view, count=5)) == saved
    assert view.phases()[-1] == phase
    assert [path.name for path in (tmp_path / "hello").iterdir()] == ["anna_01.mp4"]


def test_screens_count_down(tmp_path):
    view = Script()
    run(tmp_path, view, count=2, countdown=0.08)
    assert [(screen.phase.value, screen.number, round(screen.seconds_left, 2)) for screen in view.screens[:4]] == [
        ("countdown", 1, 0.08),
        ("countdown", 1, 0.04),
        ("recording", 1, 0.4),
        ("recording", 1, 0.36),
    ]


def test_a_camera_that_stops_keeps_what_was_saved(tmp_path):
    saved: list[Path] = []
    with pytest.raises(CameraError, match="has stopped"):
        record_session(EndlessCamera(num_frames=25), Script(), session(tmp_path, count=3), saved)
    assert (
        [path.name for path in saved] == [path.name for path in (tmp_path / "hello").iterdir()] == ["anna_01.mp4"]
    )


# Time and size.


def test_uneven_frames_keep_their_duration(tmp_path):
    rng = np.random.default_rng(0)
    moments = np.cumsum(rng.uniform(0.02, 0.09, 40))
    frames = [Frame(image, second) for image, second in zip(moving_square(40), moments, strict=True)]
    assert frame_rate(frames) == pytest.approx(39 / (moments[-1] - moments[0]))
    written = frames_of(save_clip(frames, tmp_path / "a.mp4"))
    assert len(written) == 40
    assert written[-1].seconds == pytest.approx(moments[-1] - moments[0], rel=0.01)


def test_odd_sizes_lose_a_row_or_column(tmp_path):
    saved: list[Path] = []
    record_session(EndlessCamera(width=65, height=49), Script(), session(tmp_path, count=1), saved)
    assert frames_of(saved[0])[0].image.shape == (48, 64, 3)


def test_a_rate_needs_two_frames():
    with pytest.raises(UserError, match="gave 1 frames in a whole clip; record for longer: --seconds N"):
        frame_rate([Frame(np.zeros((2, 2, 3), np.uint8), 3.0)])


# Names.


@pytest.mark.parametrize("name", ["hello", "thank you", "手話", "čaj", "yes-no", "it's", "IX_1", "trainer", "2024"])
def test_names_that_are_kept(name):
    assert checked_name("--gloss", name) == name


def test_names_are_composed():
    assert checked_name("--gloss", "cafe\u0301") == "caf\u00e9"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (" a", "begins or ends with a space"),
        ("yes/no", "'/' cannot be in a file's name everywhere"),
        ("a\\b", "cannot be in a file's name"),
        ('"a"', "cannot be in a file's name"),
        ("a\nb", "cannot be in a file's name"),
        ("..", "a dot there"),
        (".hidden", "a dot there"),
        ("a.", "a dot there"),
        ("train", "for a split"),
        ("Val", "for a split"),
        ("é" * 51, "longer than 100 bytes"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        checked_name("--gloss", name)


@pytest.mark.parametrize(
    ("path", "signer"),
    [("hello/anna_03.mp4", "anna"), ("thank_you/anna_b_12.mov", "anna_b"), ("train/hello/čaj 1_007.mp4", "čaj 1")],
)
def test_signer_pattern(path, signer):
    match = re.search(SIGNER_PATTERN, path)
    assert match is not None
    assert match["signer"] == signer


# Cameras.


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


# What is seen.


def screen(phase: Phase, **values: object) -> Screen:
    return Screen(**({"phase": phase, "gloss": "hello", "number": 2, "count": 9, "seconds_left": 2.4} | values))  # type: ignore[arg-type]


def test_the_picture_is_a_mirror():
    image = np.zeros((240, 320, 3), np.uint8)
    image[100:140, 30:40] = (0, 255, 0)
    drawn = draw_screen(image, screen(Phase.RECORDING))
    assert drawn.shape == image.shape
    assert (drawn[100:140, 280:290] == (0, 255, 0)).all()
    assert (drawn[100:140, 30:40] == 0).all()
    assert image[0].max() == 0  # the frame itself, which is saved, stays as it was


@pytest.mark.parametrize("phase", list(Phase))
def test_a_red_dot_while_recording_only(phase):
    drawn = draw_screen(np.zeros((240, 320, 3), np.uint8), screen(phase)).astype(int)
    red = (drawn[..., 0] > 200) & (drawn[..., 1] < 60)
    assert red.any() == (phase == Phase.RECORDING)


def test_the_countdown_is_seen():
    blank = np.zeros((240, 320, 3), np.uint8)
    middle = (slice(90, 150), slice(120, 200))
    three, again, two = (
        draw_screen(blank, screen(Phase.COUNTDOWN, seconds_left=left))[middle] for left in (2.9, 2.1, 1.9)
    )
    assert three.max() == 255
    assert (three == again).all()
    assert (three != two).any()
    assert draw_screen(blank, screen(Phase.RECORDING))[middle].max() == 0


# The command.


@pytest.fixture
def camera_file(tmp_path, make_video) -> Path:
    return make_video(tmp_path / "camera.mp4", num_frames=40)


def test_recorded_clips_convert(tmp_path, camera_file, run_main):
    arguments = ["--count", 2, "--output", tmp_path / "my signs", "--camera", camera_file, "--no-window"]
    for signer in ("anna", "bob", "čeda"):
        status, stdout, stderr = run_main(
            main, "--gloss", "thank_you", "--signer", signer, "--seconds", 0.3, "--countdown", 0.1, *arguments
        )
        assert (status, stderr) == (0, "")
    said = "thank_you, 1 of 2: 1 \arecording\nthank_you, 2 of 2: 1 \arecording\n"
    assert stdout.startswith(f"{said}2 clips in {tmp_path / 'my signs' / 'thank_you'}\n")
    # The command that it prints, on the records' folder of this test.
    command = shlex.split(stdout.splitlines()[-1])
    assert command[:3] == ["python", "-m", "tfrecords_tools.convert"]
    command[command.index("--output") + 1] = str(tmp_path / "records")
    frames_only = ["--set", "crop.mode=full", "--set", "keypoints=null", "--workers", "1"]
    assert run_main(convert_main, *command[3:], *frames_only)[0] == 0
    info = DatasetInfo.load(tmp_path / "records")
    assert {signer for part in info.splits.values() for signer in part.signers} == {"anna", "bob", "čeda"}
    assert sum(part.clips for part in info.splits.values()) == 6


def test_a_camera_that_stops_is_one_line(tmp_path, camera_file, run_main):
    arguments = ["--gloss", "hello", "--count", 9, "--output", tmp_path, "--camera", camera_file, "--no-window"]
    status, _, stderr = run_main(main, *arguments, "--seconds", 0.5, "--countdown", 0.1)
    assert status == 2
    assert stderr == (
        f"error: {camera_file}: the video has ended; 2 of 9 clips were saved, --count 7 records the rest\n"
    )
    assert len(list((tmp_path / "hello").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "--count 0: must be at least 1"),
        (["--seconds", "0"], "--seconds 0: must be between 0.2 and 30"),
        (["--seconds", "nan"], "--seconds nan: must be"),
        (["--countdown", "-1"], "--countdown -1: must be between 0 and 60"),
        (["--gloss", "yes/no"], "--gloss 'yes/no': '/' cannot be"),
        (["--signer", "../x"], "--signer '../x': '/' cannot be"),
        (["--camera", "nowhere.mp4"], "nowhere.mp4: no such file"),
        (["--camera", "97"], "camera 97: cannot be opened"),
        (["--output", "{file}"], "{file}"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, camera_file, run_main, arguments, message):
    file = tmp_path / "file"
    file.touch()
    defaults = ["--gloss", "hello", "--count", "1", "--output", tmp_path, "--camera", camera_file, "--no-window"]
    short = ["--seconds", "0.2", "--countdown", "0"]
    status, _, stderr = run_main(main, *defaults, *short, *(text.format(file=file) for text in arguments))
    assert status == 2
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert message.format(file=file) in stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_one_line_says_so(tmp_path, camera_file):
    command = ["--gloss", "hello", "--count", "1", "--output", str(tmp_path / "out"), "--camera", str(camera_file)]
    hidden = {name: value for name, value in os.environ.items() if "DISPLAY" not in name and "QT_" not in name}
    ran = subprocess.run(
        [sys.executable, "-m", "tfrecords_tools.record", *command],
        env=hidden | {"DISPLAY": ":97531", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "error: no window can be opened here (no display?); --no-window does without\n"
    assert not (tmp_path / "out").exists()


def test_keys_of_the_window(monkeypatch):
    codes, visible = iter([-1, ord(" "), ord("R"), ord("q"), -1]), iter([1, 1, 1, 1, 0])
    shown = []
    monkeypatch.setattr(record.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    for name in ("namedWindow", "setWindowTitle"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: next(codes))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: next(visible))
    view = record.WindowView("手話")
    image = np.zeros((240, 320, 3), np.uint8)
    assert [view.show(image, screen(Phase.RECORDING)) for _ in range(5)] == [None, " ", "r", "q", "q"]
    # OpenCV takes BGR: the dot is red in its last channel.
    assert (shown[0][..., 2] > 200).any()
    assert (shown[0][..., 0] < 60).any()
