"""The reader processes, as the server's event loop sees them: borrowed by one upload or one stream at a time.

Each is a process of its own rather than one of a pool: one that takes too long can be ended without the others, and
a stream's pictures all go to the one that tracks its signer.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import loky

from tfrecords_tools.processes import start_pool

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class ReadingError(Exception):
    """A reader process that crashed or took too long; the message says which, and what to do."""


class NoReaderError(Exception):
    """As many are being read, and are waiting, as the settings allow."""


class Reader:
    """One process, which starts when it is first asked, and again after it was ended."""

    def __init__(self) -> None:
        self._pool: loky.ProcessPoolExecutor | None = None

    async def call(self, seconds: float, function: Callable[..., Result], *arguments: Any) -> Result:
        """Calls a function of ``reading`` there.

        Args:
            seconds: after which the process is ended.
            function: to call.
            arguments: of the function.

        Raises:
            ReadingError: it took longer, or the process died.
        """
        try:
            future = await asyncio.to_thread(self._submit, function, *arguments)
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            await asyncio.to_thread(self.stop)
            raise ReadingError(f"reading it takes longer than {seconds:g} s; send a shorter one") from None
        except Exception as error:  # whatever a file made it stumble on, or BrokenProcessPool
            logger.warning("a reader failed: %s: %s", type(error).__name__, error)
            await asyncio.to_thread(self.stop)
            raise ReadingError("reading it crashed the decoder; is it damaged?") from error

    def _submit(self, function: Callable[..., Result], *arguments: Any) -> "Future[Result]":
        if self._pool is None:
            self._pool = start_pool(workers=1)
        future: Future[Result] = self._pool.submit(function, *arguments)
        return future

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)


class Readers:
    """Some readers, of which those that are free are handed out again: their MediaPipe is loaded."""

    def __init__(self, number: int, waiting: int = 0) -> None:
        """Makes readers; processes start when they are needed.

        Args:
            number: at the same time.
            waiting: how many may wait for one.
        """
        self._free = [Reader() for _ in range(number)]
        self._all = tuple(self._free)
        self._places = asyncio.Semaphore(number)
        self._most, self._present = number + waiting, 0

    @contextlib.asynccontextmanager
    async def borrow(self) -> AsyncIterator[Reader]:
        """A reader for the context.

        Raises:
            NoReaderError: too many wait already.
        """
        if self._present >= self._most:
            raise NoReaderError
        self._present += 1
        try:
            async with self._places:
                reader = self._free.pop()  # the one used last: its process runs
                try:
                    yield reader
                finally:
                    self._free.append(reader)
        finally:
            self._present -= 1

    async def stop(self) -> None:
        """Ends all processes."""
        for reader in self._all:
            await asyncio.to_thread(reader.stop)
