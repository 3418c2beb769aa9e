import asyncio

import numpy as np

from sign_keras.serving import inbox
from sign_keras.serving.inbox import Arrival, Inbox
from sign_keras.serving.messages import LandmarkFrame, PictureFrame


def picture(number: int) -> Arrival:
    return Arrival(number, 0.0, PictureFrame(0.0, b""))


def landmarks(number: int) -> Arrival:
    return Arrival(number, 0.0, LandmarkFrame(0.0, np.zeros((543, 3), np.float32)))


async def drain(box: Inbox) -> list[int]:
    await box.close()
    found = []
    while arrivals := await box.get():
        found += [arrival.number for arrival in arrivals]
    return found


def test_the_oldest_pictures_are_dropped_and_counted():
    async def run():
        box = Inbox(most_pictures=2)
        assert [await box.put(picture(number)) for number in range(5)] == [False, False, True, True, True]
        assert box.num_dropped == 3
        assert await drain(box) == [3, 4]

    asyncio.run(run())


def test_landmarks_are_never_dropped_their_sender_waits(monkeypatch):
    monkeypatch.setattr(inbox, "MOST_LANDMARKS", 3)

    async def run():
        box = Inbox(most_pictures=1)
        for number in range(3):
            await box.put(landmarks(number))
        waiting = asyncio.create_task(box.put(landmarks(3)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert [arrival.number for arrival in await box.get()] == [0, 1, 2]
        await waiting
        assert box.num_dropped == 0
        assert await drain(box) == [3]

    asyncio.run(run())


def test_pictures_never_push_landmarks_out():
    async def run():
        box = Inbox(most_pictures=1)
        for arrival in (landmarks(0), picture(1), landmarks(2), picture(3)):
            await box.put(arrival)
        assert await drain(box) == [0, 2, 3]

    asyncio.run(run())


def test_landmarks_are_taken_together_and_pictures_one_by_one():
    async def run():
        box = Inbox(most_pictures=3)
        for arrival in (landmarks(0), landmarks(1), picture(2), picture(3), landmarks(4)):
            await box.put(arrival)
        taken = [[arrival.number for arrival in await box.get()] for _ in range(4)]
        assert taken == [[0, 1], [2], [3], [4]]

    asyncio.run(run())
