"""Videos and records that tests make for themselves: a bright square that moves over a plain ground."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tfrecords_tools.clips import Clip
from tfrecords_tools.command_line import run_command
from tfrecords_tools.crop import FULL_FRAME
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints
from tfrecords_tools.video import write_video

REPOSITORY = Path(__file__).parent.parent

FrameMaker = Callable[..., Iterator[np.ndarray]]
VideoMaker = Callable[..., Path]


def moving_square(num_frames: int = 8, width: int = 64, height: int = 48, ground: int = 60) -> Iterator[np.ndarray]:
    """Frames uint8 RGB ``[height, width, 3]``: a white square that goes from left to right."""
    side = height // 4
    for index in range(num_frames):
        image = np.full((height, width, 3), ground, np.uint8)
        left = round((width - side) * index / max(1, num_frames - 1))
        image[side : 2 * side, left : left + side] = 255
        yield image


@pytest.fixture
def make_frames() -> FrameMaker:
    return moving_square


@pytest.fixture
def make_video() -> VideoMaker:
    """``make_video(path, num_frames=8, width=64, height=48, ground=60, frame_rate=25)`` writes an mp4."""

    def make(path: Path, *, frame_rate: float = 25, **frames: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, moving_square(**frames), frame_rate)
        return path

    return make


@pytest.fixture
def sign_folder(tmp_path: Path, make_video: VideoMaker) -> Path:
    """``<gloss>/<signer>_<take>.mp4``: 3 glosses, 4 signers, one take each: 12 clips, no two alike."""
    root = tmp_path / "signs"
    for number, gloss in enumerate(("hello", "thanks", "yes")):
        for signer in range(4):
            make_video(root / gloss / f"s{signer}_0.mp4", ground=20 + 15 * (number * 4 + signer))
    return root


@pytest.fixture
def make_extracted() -> Callable[..., ExtractedClip]:
    """``make_extracted(num_frames=3, keypoints=True, frames=True, **clip)``: what a worker returns."""

    def make(num_frames: int = 3, *, keypoints: bool = True, frames: bool = True, **clip: object) -> ExtractedClip:
        import cv2

        rng = np.random.default_rng(num_frames)
        points = rng.normal(0.5, 0.2, (num_frames, len(MEDIAPIPE_HOLISTIC.names), 3)).astype(np.float16)
        presence = np.ones((num_frames, len(MEDIAPIPE_HOLISTIC.groups)), bool)
        presence[0, 2] = False
        points[0, MEDIAPIPE_HOLISTIC.group_slices["left_hand"]] = np.nan
        visibility = rng.random((num_frames, 33)).astype(np.float16)
        jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in moving_square(num_frames)]
        values = {"path": "a.mp4", "glosses": ("hello",), "media_id": "a.mp4", "signer": "anna"} | clip
        return ExtractedClip(
            clip=Clip(**values),  # type: ignore[arg-type]
            jpegs=jpegs if frames else [],
            seconds=np.arange(num_frames) / 25,
            frame_rate=25.0,
            width=64,
            height=48,
            keypoints=ClipKeypoints(points, visibility, presence) if keypoints else None,
            crop_box=FULL_FRAME,
            pixels=None,
        )

    return make


@pytest.fixture
def run_main(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``run_main(main, *arguments)``: a command within this process; its status, output and error output."""

    def run(main: Callable[[], int], *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run_command(main)
        return (int(stop.value.code or 0), *capfd.readouterr())

    return run
