"""SIGTERM and Ctrl-C: a training stops at its next step, anything else at once, and says how to go on.

SLURM, Kubernetes and machines that are lent for a while send SIGTERM some seconds before they kill.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from tfrecords_tools.command_line import Stopped

NUMBERS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Takes the signals within its context; in the main thread, as Python has it, and not at all elsewhere.

    Attributes:
        doing: what is being done, for the message.
        how_to_go_on: likewise.
    """

    def __init__(self, doing: str = "its work", how_to_go_on: str = "start it again") -> None:
        self.doing, self.how_to_go_on = doing, how_to_go_on
        self._received: int | None = None
        self._waits = False
        self._before: dict[int, Callable | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """Within, a first signal only sets ``is_received``, for ``stop`` to be called when all is saved."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self.is_received:
            self.stop(self.doing)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, a signal ends the process at once: for calls of TensorFlow that wait and do not heed it."""
        ours = {number: signal.signal(number, signal.SIG_DFL) for number in self._before}
        try:
            yield
        finally:
            for number, handler in ours.items():
                signal.signal(number, handler)

    @property
    def is_received(self) -> bool:
        """Whether it is time to stop."""
        return self._received is not None

    def stop(self, where: str) -> None:
        """Ends the command, by the signal that came.

        Raises:
            Stopped: always.
        """
        number = signal.Signals(self._received or signal.SIGTERM)
        raise Stopped(f"stopped by {number.name} ({where}); to go on: {self.how_to_go_on}", number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        is_first = self._received is None
        self._received = number
        if not (self._waits and is_first):
            self.stop(self.doing)
