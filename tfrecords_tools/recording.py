"""One session of recording: countdown, clip, and again, each clip a file of its own.

All time is the camera's, so a session runs the same on a file that plays faster than life. What is seen and which
keys are pressed goes through a ``View``.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np

from tfrecords_tools.camera import Camera
from tfrecords_tools.clips import SPLIT_NAMES
from tfrecords_tools.command_line import UserError
from tfrecords_tools.video import VIDEO_SUFFIXES, Frame, write_video

PAUSE, REPEAT, QUIT, CONFIRM = " ", "r", "q", "y"
# No file name on one system or another; a list of clips with a manifest takes any gloss.
FORBIDDEN = re.compile(r'[/\\<>:"|?*\x00-\x1f\x7f]')
LONGEST_NAME_BYTES = 100
# How long the last clip of a session may still be repeated.
LAST_CHANCE_SECONDS = 5.0

# How a source finds the signer in what is recorded here: hello/anna_03.mp4.
SIGNER_PATTERN = "/(?P<signer>[^/]+)_[0-9]+[.]"


class Phase(StrEnum):
    """What the session is doing."""

    COUNTDOWN = "countdown"
    RECORDING = "recording"
    PAUSED = "paused"
    CONFIRMING = "confirming"
    FINISHED = "finished"


@dataclass(frozen=True)
class Screen:
    """What a view shows beside the picture.

    Attributes:
        phase: see ``Phase``.
        gloss: to sign.
        number: of the clip, from 1.
        count: of clips in the session.
        seconds_left: of the countdown, the clip, or the last chance to repeat it; 0 in other phases.
        last_clip: the clip recorded before this one, which may be repeated; empty without.
    """

    phase: Phase
    gloss: str
    number: int
    count: int
    seconds_left: float = 0.0
    last_clip: str = ""


class View(Protocol):
    """Shows what happens, and hears keys, if it can."""

    hears_keys: bool

    def show(self, image: np.ndarray, screen: Screen) -> str | None:
        """Shows a frame, uint8 RGB ``[H, W, 3]`` as the camera sees it; returns the key pressed, if any."""


@dataclass(frozen=True)
class Session:
    """What is to be recorded.

    Attributes:
        folder: gets ``<gloss>/<signer>_<number>.mp4``.
        gloss: signed in every clip; the name of a folder.
        signer: the first part of file names.
        count: of clips.
        seconds: length of a clip.
        countdown: seconds before each clip.
    """

    folder: Path
    gloss: str
    signer: str
    count: int
    seconds: float
    countdown: float


def checked_name(what: str, text: str) -> str:
    """A gloss or a signer that can be part of a path on any system, in Unicode's composed form.

    Args:
        what: the option, for messages.
        text: given by the user.

    Raises:
        UserError: it cannot.
    """
    name = unicodedata.normalize("NFC", text)
    shown = f"{what} {text!r}"
    if not name or name != name.strip():
        raise UserError(f"{shown}: is empty, or begins or ends with a space; it becomes part of a file's name")
    if found := FORBIDDEN.search(name):
        raise UserError(f"{shown}: {found[0]!r} cannot be in a file's name everywhere; write it in another way")
    if name.startswith(".") or name.endswith("."):
        raise UserError(f"{shown}: files with a dot there are hidden or lost; leave it out")
    if name.lower() in SPLIT_NAMES:
        raise UserError(f"{shown}: convert may take a folder of that name for a split; choose another name")
    if len(name.encode()) > LONGEST_NAME_BYTES:
        raise UserError(f"{shown}: is longer than {LONGEST_NAME_BYTES} bytes; choose a shorter name")
    return name


def next_path(session: Session) -> Path:
    """The file of the next clip: one number after the highest of this gloss and signer."""
    folder = session.folder / session.gloss
    pattern = re.compile(rf"{re.escape(session.signer)}_([0-9]+)", re.IGNORECASE)  # as some file systems see it
    taken = [
        int(match[1])
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.suffix.lower() in VIDEO_SUFFIXES
        and (match := pattern.fullmatch(unicodedata.normalize("NFC", file.stem)))
    ]
    return folder / f"{session.signer}_{max(taken, default=0) + 1:02d}.mp4"


def record_session(camera: Camera, view: View, session: Session, saved: list[Path]) -> None:
    """Records until all clips are there or the user quits.

    Args:
        camera: to record from.
        view: shows, and hears keys.
        session: what to record.
        saved: gets the path of each clip as soon as it is whole, and loses those that are to be repeated.

    Raises:
        CameraError: the camera has stopped. Clips saved before are whole.
    """
    take = _Take(camera, view, session, saved)
    key: str | None = None
    while key != QUIT:
        if key is None and len(saved) == session.count:
            if not view.hears_keys:
                return
            key = take.watch(Phase.FINISHED, LAST_CHANCE_SECONDS, keys=(REPEAT, QUIT)) or QUIT
        elif key == PAUSE:
            key = take.watch(Phase.PAUSED, keys=(PAUSE, REPEAT, QUIT))
            key = None if key == PAUSE else key
        elif key == REPEAT:
            key = take.repeat()
        else:
            key = take.watch(Phase.COUNTDOWN, session.countdown) or take.record()


class _Take:
    def __init__(self, camera: Camera, view: View, session: Session, saved: list[Path]) -> None:
        self._camera, self._view, self._session, self._saved = camera, view, session, saved

    def watch(
        self,
        phase: Phase,
        seconds: float | None = None,
        keys: tuple[str, ...] | None = (PAUSE, REPEAT, QUIT),
        on_frame: Callable[[Frame], None] = lambda frame: None,
    ) -> str | None:
        """Shows frames for so many seconds of the camera's time, or until one of ``keys`` (None: any) is pressed.

        Returns:
            The key; None when the time is over.
        """
        start: float | None = None
        while True:
            frame = self._camera.read()
            start = frame.seconds if start is None else start
            left = 0.0 if seconds is None else start + seconds - frame.seconds
            if seconds is not None and left <= 0:
                return None
            on_frame(frame)
            key = self._view.show(frame.image, self._screen(phase, left))
            if key is not None and (keys is None or key in keys):
                return key

    def _screen(self, phase: Phase, seconds_left: float) -> Screen:
        return Screen(
            phase=phase,
            gloss=self._session.gloss,
            number=min(len(self._saved) + 1, self._session.count),
            count=self._session.count,
            seconds_left=seconds_left,
            last_clip=self._saved[-1].name if self._saved else "",
        )

    def record(self) -> str | None:
        """Records one clip and saves it; a key that interrupts drops it."""
        frames: list[Frame] = []
        key = self.watch(Phase.RECORDING, self._session.seconds, on_frame=frames.append)
        if key is None:
            self._saved.append(save_clip(frames, next_path(self._session)))
        return key

    def repeat(self) -> str | None:
        """Deletes the last clip once the user has confirmed."""
        if not self._saved:
            return None
        key = self.watch(Phase.CONFIRMING, keys=None)
        if key == CONFIRM:
            self._saved.pop().unlink(missing_ok=True)
        return QUIT if key == QUIT else None


def save_clip(frames: list[Frame], path: Path) -> Path:
    """Writes frames as they came, at the rate they came in on average; so the clip lasts as long as the sign did.

    Args:
        frames: of one size; an odd row or column is cut off, which H.264 cannot hold.
        path: to write; its folder is made.

    Raises:
        UserError: fewer than two frames came, so there is no rate.
    """
    rate = frame_rate(frames)
    height, width = (side - side % 2 for side in frames[0].image.shape[:2])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, (frame.image[:height, :width] for frame in frames), rate)
    return path


def frame_rate(frames: list[Frame]) -> float:
    """Frames per second between the first and the last.

    Raises:
        UserError: fewer than two frames, or all at the same moment.
    """
    seconds = frames[-1].seconds - frames[0].seconds if frames else 0.0
    if seconds <= 0:
        raise UserError(f"the camera gave {len(frames)} frames in a whole clip; record for longer: --seconds N")
    return (len(frames) - 1) / seconds
