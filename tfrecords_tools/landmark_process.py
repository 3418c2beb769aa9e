"""Landmarks of a stream, found in a process of their own: MediaPipe beside TensorFlow is slow to start and noisy.

Frames go in and landmarks come out in the same order. While one frame is looked at, whoever sends them can do
something else: that is what ``send`` and ``receive`` are two for.
"""

from collections import deque
from concurrent.futures import Future
from functools import lru_cache
from types import TracebackType

import numpy as np
from loky.process_executor import BrokenProcessPool

from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoints import HolisticExtractor
from tfrecords_tools.processes import start_pool


class LandmarkProcess:
    """One stream's MediaPipe Holistic; to be used as a context, which ends the process."""

    def __init__(self) -> None:
        """Starts the process; MediaPipe loads while the caller goes on."""
        self._pool = start_pool(workers=1)
        self._waiting: deque[Future[np.ndarray]] = deque()
        self._pool.submit(_start_stream)

    def send(self, image: np.ndarray) -> None:
        """Sends the stream's next frame, uint8 RGB ``[H, W, 3]``."""
        try:
            self._waiting.append(self._pool.submit(_find_landmarks, image))
        except BrokenProcessPool:
            raise _died() from None

    def receive(self) -> np.ndarray:
        """Landmarks of the first frame that waits: ``[543, 3]`` float32, NaN where not found. Waits for them.

        Raises:
            UserError: the process has died.
            IndexError: no frame waits.
        """
        try:
            return self._waiting.popleft().result()
        except BrokenProcessPool:
            raise _died() from None

    def __enter__(self) -> "LandmarkProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, kill_workers=True)


def _died() -> UserError:
    return UserError("the process that finds keypoints has died (out of memory?); start again")


@lru_cache(maxsize=1)
def _extractor() -> HolisticExtractor:
    return HolisticExtractor()


def _start_stream() -> None:
    _extractor().start_clip()


def _find_landmarks(image: np.ndarray) -> np.ndarray:
    return _extractor().find_landmarks(image)
