import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import moving_square
from tfrecords_tools.camera import CameraError
from tfrecords_tools.command_line import UserError
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
from tfrecords_tools.video import Frame, open_video


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
