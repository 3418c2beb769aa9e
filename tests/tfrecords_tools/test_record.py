import os
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tfrecords_tools import record, window
from tfrecords_tools.convert import main as convert_main
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.record import draw_screen, main
from tfrecords_tools.recording import Phase, Screen

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
    monkeypatch.setattr(window.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
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
