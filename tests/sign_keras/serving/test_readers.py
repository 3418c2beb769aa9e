import asyncio
import os
import time
from functools import partial

import pytest

from sign_keras.serving.readers import NoReaderError, Readers, ReadingError


def test_a_reader_that_hangs_or_dies_is_ended_and_starts_again():
    async def run():
        readers = Readers(1)
        async with readers.borrow() as reader:
            first = await reader.call(60, os.getpid)
            began = time.monotonic()
            with pytest.raises(ReadingError, match=r"longer than 0\.5 s; send a shorter one"):
                await reader.call(0.5, time.sleep, 60)
            assert time.monotonic() - began < 20
            with pytest.raises(ProcessLookupError):
                os.kill(first, 0)
            with pytest.raises(ReadingError, match="crashed the decoder"):
                await reader.call(60, os._exit, 1)
            assert await reader.call(60, os.getpid) not in (first, os.getpid())
        await readers.stop()

    asyncio.run(run())


def test_as_many_wait_for_a_reader_as_are_allowed():
    async def hold(readers: Readers, done: list[int], number: int, goes_on: asyncio.Event) -> None:
        async with readers.borrow():
            await goes_on.wait()
            done.append(number)

    async def run():
        readers, done, goes_on = Readers(1, waiting=1), [], asyncio.Event()
        held = [asyncio.create_task(hold(readers, done, number, goes_on)) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(NoReaderError):
            async with readers.borrow():
                pass
        goes_on.set()
        await asyncio.gather(*held)
        assert done == [0, 1]
        await partial(hold, readers, done)(2, goes_on)
        with pytest.raises(NoReaderError):
            async with Readers(0).borrow():
                pass

    asyncio.run(run())
