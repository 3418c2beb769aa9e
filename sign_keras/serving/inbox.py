"""Frames of one stream that wait for their turn."""

import asyncio
from collections import deque
from dataclasses import dataclass

from sign_keras.serving.messages import LandmarkFrame, PictureFrame

# Landmarks that wait; a client that sends more of them waits for the server, and none is lost.
MOST_LANDMARKS = 32


@dataclass(frozen=True, eq=False)
class Arrival:
    """A frame, its number in the stream, and when it arrived by the event loop's clock."""

    number: int
    arrived: float
    frame: PictureFrame | LandmarkFrame


class Inbox:
    """A queue in which a new picture takes the place of the oldest one when there are too many: what a camera saw a
    while ago is of no use. Landmarks are never dropped: ``put`` waits.

    Attributes:
        num_dropped: pictures dropped so far.
    """

    def __init__(self, most_pictures: int) -> None:
        self.num_dropped = 0
        self._most_pictures = most_pictures
        self._waiting: deque[Arrival] = deque()
        self._is_closed = False
        self._change = asyncio.Condition()

    async def put(self, arrival: Arrival) -> bool:
        """Adds a frame; returns whether one was dropped for it."""
        is_full = False
        async with self._change:
            if isinstance(arrival.frame, PictureFrame):
                pictures = [item for item in self._waiting if isinstance(item.frame, PictureFrame)]
                is_full = len(pictures) >= self._most_pictures
                if is_full:
                    self._waiting.remove(pictures[0])
                    self.num_dropped += 1
            else:
                await self._change.wait_for(lambda: len(self._waiting) < MOST_LANDMARKS)
            self._waiting.append(arrival)
            self._change.notify_all()
        return is_full

    async def close(self) -> None:
        """Nothing more will come."""
        async with self._change:
            self._is_closed = True
            self._change.notify_all()

    async def get(self) -> list[Arrival]:
        """The next picture, or all landmarks that wait in front of it: whoever is behind catches up. Empty when
        there will be no more.
        """
        async with self._change:
            await self._change.wait_for(lambda: self._waiting or self._is_closed)
            taken: list[Arrival] = []
            while self._waiting and not (taken and isinstance(self._waiting[0].frame, PictureFrame)):
                taken.append(self._waiting.popleft())
                if isinstance(taken[0].frame, PictureFrame):
                    break
            self._change.notify_all()
            return taken
