"""The model, in a thread of its own: the event loop goes on while it thinks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sign_keras.inference.artefact import Artefact
from sign_keras.inference.predictor import Answer, Predictor
from sign_keras.inference.sliding_window import WindowFrames
from sign_keras.inference.stream import SignStream
from sign_keras.serving.settings import ServeSettings
from tfrecords_tools.extract import ExtractedClip

Result = TypeVar("Result")

# Calls that wait for the model: one of each connection and upload, which are limited themselves, and some to spare.
SPARE_CALLS = 16


class OverloadedError(Exception):
    """More wait for the model than it will answer in time."""


class Engine:
    """A model and everything that is asked of it.

    One thread: interpreters are not made for several, and the model's own threads use the cores.

    Attributes:
        artefact: the model.
        predictor: its answers for videos.
    """

    def __init__(self, artefact: Artefact, settings: ServeSettings) -> None:
        """Prepares a model.

        Raises:
            UserError: it takes what no video gives, or no such window or stream settings.
        """
        window = None
        if settings.window_seconds is not None:
            window = WindowFrames.of(artefact, settings.window_seconds)
        self.artefact = artefact
        self.predictor = Predictor(artefact, settings.top_k, window)
        self._settings = settings.signs.model_copy(update={"top_k": settings.top_k})
        self._most = settings.live.connections + settings.upload.readers + SPARE_CALLS
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._stream()  # faults of the settings are told now, not to the first client

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Calls a function in the model's thread, after those that wait already.

        Raises:
            OverloadedError: too many do.
        """
        if self._waiting >= self._most:
            raise OverloadedError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        finally:
            self._waiting -= 1

    async def answer(self, extracted: ExtractedClip) -> Answer:
        """What ``predict`` says of a clip; see ``run``."""
        return await self.run(self.predictor.answer, extracted)

    async def open_stream(self, aspect_ratio: float | None = None) -> SignStream:
        """A stream; its methods are to be called through ``run``.

        Args:
            aspect_ratio: width / height of the picture that landmarks refer to, where no picture comes with them.
        """
        return await self.run(self._stream, aspect_ratio)

    def stop(self) -> None:
        """Ends the thread, once it has done what waits."""
        self._thread.shutdown(wait=True)

    def _stream(self, aspect_ratio: float | None = None) -> SignStream:
        settings = self._settings
        if aspect_ratio is not None:
            settings = settings.model_copy(update={"aspect_ratio": aspect_ratio})
        return SignStream(self.artefact, settings)
