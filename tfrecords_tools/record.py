"""``python -m tfrecords_tools.record``: records one's own clips from a camera, ready for ``convert``."""

import argparse
import math
import os
import shlex
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfrecords_tools.camera import CameraError, open_camera
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.recording import (
    QUIT,
    SIGNER_PATTERN,
    Phase,
    Screen,
    Session,
    View,
    checked_name,
    record_session,
)
from tfrecords_tools.window import ESCAPE, Window, font

EXAMPLE = """example:
  python -m tfrecords_tools.record --gloss hello --count 20 --output my_signs --signer anna

writes my_signs/hello/anna_01.mp4, anna_02.mp4, ... and goes on after the highest number that is there. Keys in the
window: space pauses, r repeats the last clip, q quits. A clip that is interrupted is dropped. Ask whoever signs
for their consent; a signer's name may be a pseudonym, and keeps each person in one split.
"""

LONGEST_CLIP_SECONDS = 30.0  # a clip is held in memory until it is whole
TITLE = "record"
WHITE, RED = (255, 255, 255), (230, 30, 30)
HINTS = {
    Phase.COUNTDOWN: "space: pause    r: repeat the last clip    q: quit",
    Phase.RECORDING: "",
    Phase.PAUSED: "paused    space: go on    r: repeat the last clip    q: quit",
    Phase.CONFIRMING: "delete {last_clip}, record again?    y: yes    other keys: no",
    Phase.FINISHED: "done    r: repeat the last clip    q: quit",
}


def draw_screen(image: np.ndarray, screen: Screen) -> np.ndarray:
    """The picture of the window: the frame as in a mirror, and what to do.

    Args:
        image: the camera's frame, uint8 RGB ``[H, W, 3]``.
        screen: what to say.

    Returns:
        uint8 RGB ``[H, W, 3]``.
    """
    picture = Image.fromarray(np.ascontiguousarray(image[:, ::-1]))
    draw = ImageDraw.Draw(picture)
    unit = max(10, picture.height // 24)

    def write(text: str, place: tuple[float, float], size: int, anchor: str) -> None:
        draw.text(
            place, text, WHITE, font(size), anchor=anchor, stroke_width=max(1, size // 12), stroke_fill=(0, 0, 0)
        )

    write(f"{screen.gloss}    {screen.number} of {screen.count}", (unit, unit), unit, "lt")
    hint = HINTS[screen.phase].format(last_clip=screen.last_clip)
    write(hint, (unit, picture.height - unit), unit * 2 // 3, "lb")
    if screen.phase == Phase.COUNTDOWN:
        middle = (picture.width / 2, picture.height / 2)
        write(str(math.ceil(screen.seconds_left)), middle, unit * 6, "mm")
    if screen.phase == Phase.RECORDING:
        draw.ellipse((picture.width - 3 * unit, unit, picture.width - unit, 3 * unit), fill=RED)
    return np.asarray(picture)


class WindowView:
    """A window; closing it quits."""

    hears_keys = True

    def __init__(self, gloss: str) -> None:
        """Opens the window.

        Raises:
            UserError: there is no display to open it on.
        """
        self._window = Window(TITLE, gloss)  # whose title lacks no script, as fonts do

    def show(self, image: np.ndarray, screen: Screen) -> str | None:
        """See ``View``."""
        key = self._window.show(draw_screen(image, screen))
        return QUIT if key == ESCAPE else key


class TerminalView:
    """No window: the countdown as text, and the terminal's bell when a clip begins."""

    hears_keys = False

    def __init__(self) -> None:
        """Starts without a word."""
        self._said: tuple[int, str] = (0, "")

    def show(self, image: np.ndarray, screen: Screen) -> str | None:
        """See ``View``; hears nothing."""
        del image
        is_recording = screen.phase == Phase.RECORDING
        saying = (screen.number, "\arecording" if is_recording else str(math.ceil(screen.seconds_left)))
        if saying != self._said:
            start = f"{screen.gloss}, {screen.number} of {screen.count}: " if saying[0] != self._said[0] else ""
            print(start + saying[1], end="\n" if is_recording else " ", flush=True)
            self._said = saying
        return None


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords_tools.record",
        description="Records clips of one gloss from a camera, with a countdown before each.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--gloss", required=True, help="what is signed; the clips' folder")
    parser.add_argument("--count", required=True, type=int, metavar="N", help="clips to record")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the gloss folders")
    parser.add_argument("--signer", default="me", metavar="NAME", help="who signs (default: %(default)s)")
    parser.add_argument(
        "--camera", default="0", metavar="N|FILE", help="camera, or a video in its place (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=2.5, help="length of a clip (default: %(default)s)")
    parser.add_argument("--countdown", type=float, default=3.0, help="seconds before each (default: %(default)s)")
    parser.add_argument("--no-window", action="store_true", help="count down in the terminal, with a bell")
    return parser


def check_session(arguments: argparse.Namespace) -> Session:
    """The session that the arguments ask for.

    Raises:
        UserError: a number out of its range, or a name that is no part of a path.
    """
    if arguments.count < 1:
        raise UserError(f"--count {arguments.count}: must be at least 1")
    if not 0.2 <= arguments.seconds <= LONGEST_CLIP_SECONDS:
        raise UserError(f"--seconds {arguments.seconds:g}: must be between 0.2 and {LONGEST_CLIP_SECONDS:g}")
    if not 0 <= arguments.countdown <= 60:
        raise UserError(f"--countdown {arguments.countdown:g}: must be between 0 and 60")
    return Session(
        folder=arguments.output,
        gloss=checked_name("--gloss", arguments.gloss),
        signer=checked_name("--signer", arguments.signer),
        count=arguments.count,
        seconds=arguments.seconds,
        countdown=arguments.countdown,
    )


def next_command(folder: Path) -> str:
    """The command that makes records of what was recorded."""
    command = ["python", "-m", "tfrecords_tools.convert", "--source", "video_folders", "--input", str(folder)]
    command += ["--output", f"data{os.sep}{folder.resolve().name}", "--set", "crop.mode=hands", "--set"]
    return shlex.join([*command, "short_side=112", "--set", f"source.signer_pattern={SIGNER_PATTERN}"])


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    session = check_session(arguments)
    saved: list[Path] = []
    try:
        with open_camera(arguments.camera) as camera:
            view: View = TerminalView() if arguments.no_window else WindowView(session.gloss)
            record_session(camera, view, session, saved)
    except CameraError as error:
        if not saved:
            raise
        if len(saved) < session.count:
            raise UserError(
                f"{error}; {len(saved)} of {session.count} clips were saved, "
                f"--count {session.count - len(saved)} records the rest"
            ) from None
    print(f"{len(saved)} clips in {session.folder / session.gloss}")
    if saved:
        print(f"when all signs are recorded:\n  {next_command(session.folder)}")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
