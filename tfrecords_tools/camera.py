"""Cameras: frames with the moment they were taken. A video file can stand in for one.

Whoever reads takes the time from the frames: real cameras deliver unevenly, a file may be played faster than life.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2

from tfrecords_tools.command_line import UserError, quiet_stderr
from tfrecords_tools.video import Frame, open_video


class CameraError(UserError):
    """A camera that cannot be opened, or has stopped."""


class Camera(Protocol):
    """Gives frames; to be used as a context, which frees it."""

    def read(self) -> Frame:
        """The next frame, uint8 RGB ``[H, W, 3]``, not mirrored; its ``seconds`` never go back.

        Raises:
            CameraError: there is none.
        """

    def __enter__(self) -> "Camera": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class DeviceCamera:
    """A camera of this machine, by OpenCV."""

    def __init__(self, index: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Opens the camera and takes its first frame.

        Args:
            index: as the system counts cameras, from 0.
            clock: seconds from any fixed moment.

        Raises:
            CameraError: it cannot be opened, or gives no frame.
        """
        self._name, self._clock = f"camera {index}", clock
        with quiet_stderr():  # OpenCV tells of every way in which it tried
            self._capture: Any = cv2.VideoCapture(index)
            is_open = self._capture.isOpened()
        if not is_open:
            raise CameraError(
                f"{self._name}: cannot be opened; is it plugged in, allowed, and not used by another program? "
                "--camera 1 is the next one"
            )
        if not self._capture.read()[0]:
            self._capture.release()
            raise CameraError(f"{self._name}: opens, but gives no frame; another program may be using it")

    def read(self) -> Frame:
        """See ``Camera``."""
        is_read, image = self._capture.read()
        seconds = self._clock()
        if not is_read:
            raise CameraError(f"{self._name}: has stopped giving frames")
        return Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), seconds)

    def __enter__(self) -> "DeviceCamera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._capture.release()


class FileCamera:
    """A video file in a camera's place, from its first frame to its last."""

    def __init__(
        self,
        path: Path,
        *,
        real_time: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Opens the file.

        Args:
            path: a video, or a folder of images.
            real_time: wait for each frame's moment; else frames come as fast as they decode.
            clock: seconds from any fixed moment.
            sleep: waits for so many seconds.

        Raises:
            VideoError: no such file, or no video.
        """
        self._path, self._real_time, self._clock, self._sleep = path, real_time, clock, sleep
        self._resources = ExitStack()
        self._frames = self._resources.enter_context(open_video(path)).frames
        self._start: float | None = None

    def read(self) -> Frame:
        """See ``Camera``; ``seconds`` count from the file's first frame."""
        frame = next(self._frames, None)
        if frame is None:
            raise CameraError(f"{self._path}: the video has ended")
        if self._real_time:
            now = self._clock()
            self._start = now if self._start is None else self._start
            self._sleep(max(0.0, self._start + frame.seconds - now))
        return frame

    def __enter__(self) -> "FileCamera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._resources.close()


def open_camera(name: str) -> Camera:
    """The camera with a number, or the video file with a path.

    Raises:
        CameraError: it cannot be opened, or gives no frame.
        VideoError: no such file, or no video.
    """
    return DeviceCamera(int(name)) if name.isdecimal() else FileCamera(Path(name))
