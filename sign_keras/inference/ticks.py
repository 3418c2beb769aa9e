"""Frames as they come to frames at a model's rate: what ``data.sampling`` does to a clip, on a stream."""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Ticks(Generic[Item]):
    """The frame on screen at each tick of a clock that begins with the first frame.

    A tick lies at the middle of its interval. Frames that come faster are left out, slower ones are repeated; all
    together they are those of a clip of these frames that is as long as it may be.
    """

    def __init__(self, frame_rate: float) -> None:
        self._rate = frame_rate
        self._start = self._last = 0.0
        self._shown: Item | None = None
        self._num_frames = self._num_ticks = 0

    def push(self, seconds: float, item: Item) -> list[Item]:
        """Takes the next frame; returns those on screen at the ticks before it."""
        if self._shown is None:
            self._start = seconds
        said = self._until(seconds)
        self._shown, self._last = item, seconds
        self._num_frames += 1
        return said

    def finish(self) -> list[Item]:
        """The rest: the last frame stays for one mean interval; a single one for one tick."""
        if self._shown is None:
            return []
        length = self._last - self._start
        interval = length / (self._num_frames - 1) if self._num_frames > 1 else 1 / self._rate
        rest = self._until(self._last + interval)
        return rest if self._num_ticks else [self._shown]

    def _until(self, seconds: float) -> list[Item]:
        said: list[Item] = []
        while self._shown is not None and self._start + (self._num_ticks + 0.5) / self._rate < seconds - 1e-6:
            said.append(self._shown)
            self._num_ticks += 1
        return said
