"""One WebSocket connection: frames in, events, scores and landmarks out.

Two tasks share it: one takes messages off the wire, the other answers the frames in their order. What is dropped is
counted, and every answer says how much it was.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from sign_keras.inference.predictor import ScoredGloss
from sign_keras.inference.stream import SignStream, StreamEvent
from sign_keras.serving.engine import Engine, OverloadedError
from sign_keras.serving.inbox import Arrival, Inbox
from sign_keras.serving.messages import (
    BadMessageError,
    Finish,
    LandmarkFrame,
    PictureFrame,
    Token,
    bones,
    landmark_groups,
    parse_binary,
    parse_text,
)
from sign_keras.serving.metrics import ServerMetrics
from sign_keras.serving.rates import TokenBucket
from sign_keras.serving.readers import NoReaderError, Reader, Readers, ReadingError
from sign_keras.serving.reading import SeenPicture, read_picture, start_stream
from sign_keras.serving.settings import LiveSettings
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

# Close codes of RFC 6455, section 7.4.1, and of the IANA registry it founded.
DONE, POLICY, BAD_DATA, TRY_AGAIN = 1000, 1008, 1003, 1013
# How much may come at once, in seconds of the rate.
BURST_SECONDS = 2.0
# A client that takes nothing off the wire for so long has gone.
SEND_SECONDS = 20.0
# Of a close frame's reason, in bytes.
LONGEST_REASON = 120
PROTOCOL = 1


class RefusedError(Exception):
    """Ends a connection.

    Attributes:
        code: to close it with.
        reason: for people.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(frozen=True)
class Services:
    """What all connections share."""

    engine: Engine
    cameras: Readers
    metrics: ServerMetrics
    settings: LiveSettings


# Seconds, landmarks, and a picture or its likeness.
Moment = tuple[float, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Said:
    """What a stream says once a frame was pushed."""

    seconds: float
    events: list[StreamEvent]
    active: bool
    scores: tuple[ScoredGloss, ...]


def _push_all(stream: SignStream, moments: list[Moment]) -> list[Said]:
    """In the model's thread: frames that came together wait for it once."""
    return [
        Said(seconds, stream.push(seconds, landmarks, image), stream.active, stream.scores)
        for seconds, landmarks, image in moments
    ]


class LiveSession:
    """A connection that was let in."""

    def __init__(self, socket: WebSocket, services: Services, aspect_ratio: float | None = None) -> None:
        """Takes an accepted connection.

        Args:
            socket: accepted.
            services: of the server.
            aspect_ratio: width / height of the picture that the client's landmarks refer to.
        """
        self._socket, self._services, self._settings = socket, services, services.settings
        self._aspect_ratio = aspect_ratio
        rate = self._settings.frames_per_second
        self._bucket = TokenBucket(rate, max(1.0, rate * BURST_SECONDS))
        self._inbox = Inbox(self._settings.waiting_pictures)
        self._num_frames = self._num_answered = self._num_events = self._beyond_rate = 0
        self._clock = asyncio.get_running_loop().time
        self._opened = self._clock()
        self._camera: Reader | None = None

    async def run(self) -> None:
        """Answers until the client has finished.

        Raises:
            RefusedError: the connection is to be closed.
            WebSocketDisconnect: the client has gone.
        """
        stream = await self._engine(self._services.engine.open_stream(self._aspect_ratio))
        await self._send({"type": "ready", "protocol": PROTOCOL, **self._about(stream)})
        try:
            async with asyncio.timeout(self._settings.minutes * 60), contextlib.AsyncExitStack() as resources:
                tasks = (
                    asyncio.create_task(self._read()),
                    asyncio.create_task(self._answer(stream, resources)),
                )
                try:
                    await asyncio.gather(*tasks)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        except TimeoutError:
            minutes = self._settings.minutes
            raise RefusedError(POLICY, f"open for {minutes:g} minutes, which is the limit; connect again") from None

    def _about(self, stream: SignStream) -> dict[str, Any]:
        artefact = self._services.engine.artefact
        return {
            "model": artefact.name,
            "task": artefact.task,
            "needs_frames": stream.needs_frames,
            "layout": MEDIAPIPE_HOLISTIC.name,
            "num_points": len(MEDIAPIPE_HOLISTIC.names),
            "bones": bones(MEDIAPIPE_HOLISTIC),
            "frames_per_second": self._settings.frames_per_second,
        }

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if isinstance(message, Finish):
                await self._inbox.close()
                return
            if isinstance(message, Token):  # said again, or to a server that asks for none
                continue
            number, self._num_frames = self._num_frames, self._num_frames + 1
            if not self._bucket.take():
                self._beyond_rate += 1
                self._count(message, "dropped")
            elif await self._inbox.put(Arrival(number, self._clock(), message)):
                self._count(message, "dropped")

    async def _receive(self) -> PictureFrame | LandmarkFrame | Finish | Token:
        idle = self._settings.idle_seconds
        try:
            return await receive(self._socket, idle)
        except TimeoutError:
            raise RefusedError(POLICY, f"nothing came for {idle:g} s; connect again") from None
        except BadMessageError as error:
            raise RefusedError(BAD_DATA, str(error)) from None

    async def _answer(self, stream: SignStream, resources: contextlib.AsyncExitStack) -> None:
        while arrivals := await self._inbox.get():
            if isinstance(arrivals[0].frame, PictureFrame):
                await self._answer_picture(arrivals[0], arrivals[0].frame, stream, resources)
                continue
            if stream.needs_frames:
                raise RefusedError(
                    BAD_DATA, "this model looks at frames, not at landmarks alone; send JPEG pictures"
                )
            moments: list[Moment] = [
                (item.frame.seconds, item.frame.landmarks, None)
                for item in arrivals
                if isinstance(item.frame, LandmarkFrame)
            ]
            for arrival, said in zip(arrivals, await self._push(stream, moments), strict=True):
                await self._tell(arrival, said)
        events = await self._engine(self._services.engine.run(stream.finish))
        await self._tell_events(events)
        await self._send(
            {
                "type": "finished",
                "frames": self._num_frames,
                "answered": self._num_answered,
                "dropped": self._num_dropped,
                "events": self._num_events,
            }
        )

    async def _answer_picture(
        self, arrival: Arrival, frame: PictureFrame, stream: SignStream, resources: contextlib.AsyncExitStack
    ) -> None:
        seconds = arrival.arrived - self._opened if frame.seconds is None else frame.seconds
        seen = await self._see(frame, stream, resources)
        if isinstance(seen, str):
            await self._send({"type": "skipped", "frame": arrival.number, "reason": f"the picture {seen}"})
            return
        # Of a model that needs no pictures the engine looks at the shape alone.
        image = np.broadcast_to(np.uint8(0), (seen.height, seen.width, 3)) if seen.image is None else seen.image
        (said,) = await self._push(stream, [(seconds, seen.landmarks, image)])
        await self._tell(arrival, said, landmarks=landmark_groups(seen.landmarks, MEDIAPIPE_HOLISTIC))

    async def _see(
        self, frame: PictureFrame, stream: SignStream, resources: contextlib.AsyncExitStack
    ) -> SeenPicture | str:
        try:
            if self._camera is None:
                self._camera = await resources.enter_async_context(self._services.cameras.borrow())
                await self._camera.call(self._settings.frame_seconds, start_stream)
            return await self._camera.call(
                self._settings.frame_seconds, read_picture, frame.jpeg, self._settings.picture, stream.needs_frames
            )
        except NoReaderError:
            raise RefusedError(
                TRY_AGAIN, f"{self._settings.cameras} cameras are streaming, which is the limit; try again later"
            ) from None
        except ReadingError as error:
            raise RefusedError(TRY_AGAIN, f"a picture was not read: {error}") from None

    async def _push(self, stream: SignStream, moments: list[Moment]) -> list[Said]:
        said: list[Said] = await self._engine(self._services.engine.run(_push_all, stream, moments))
        return said

    async def _tell(self, arrival: Arrival, said: Said, **more: Any) -> None:
        await self._tell_events(said.events)
        scores = [{"gloss": item.gloss, "probability": round(item.probability, 4)} for item in said.scores]
        await self._send(
            {
                "type": "result",
                "frame": arrival.number,
                "seconds": round(said.seconds, 4),
                "active": said.active,
                "scores": scores,
                "dropped": self._num_dropped,
                **more,
            }
        )
        self._num_answered += 1
        self._count(arrival.frame, "answered")
        kind = _kind(arrival.frame)
        self._services.metrics.frame_seconds.labels(kind).observe(self._clock() - arrival.arrived)

    async def _tell_events(self, events: list[StreamEvent]) -> None:
        for event in events:
            self._num_events += 1
            self._services.metrics.events.labels(event.kind).inc()
            await self._send({"type": "event", **asdict(event)})

    @property
    def _num_dropped(self) -> int:
        return self._inbox.num_dropped + self._beyond_rate

    def _count(self, frame: PictureFrame | LandmarkFrame, outcome: str) -> None:
        self._services.metrics.frames.labels(_kind(frame), outcome).inc()

    async def _engine(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except OverloadedError:
            raise RefusedError(TRY_AGAIN, "the server has more to do than it can; try again later") from None

    async def _send(self, content: dict[str, Any]) -> None:
        await send(self._socket, content)


def _kind(frame: PictureFrame | LandmarkFrame) -> str:
    return "jpeg" if isinstance(frame, PictureFrame) else "landmarks"


async def receive(socket: WebSocket, seconds: float) -> PictureFrame | LandmarkFrame | Finish | Token:
    """The next message.

    Raises:
        BadMessageError: it is none that a client sends.
        TimeoutError: none came for so many seconds.
        WebSocketDisconnect: the client has gone.
    """
    message = await asyncio.wait_for(socket.receive(), seconds)
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", DONE))
    if message.get("bytes") is not None:
        return parse_binary(message["bytes"], MEDIAPIPE_HOLISTIC)
    return parse_text(message.get("text") or "", MEDIAPIPE_HOLISTIC)


async def send(socket: WebSocket, content: dict[str, Any]) -> None:
    """Sends a JSON message.

    Raises:
        WebSocketDisconnect: the client has gone, or takes nothing off the wire.
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        await asyncio.wait_for(socket.send_text(text), SEND_SECONDS)
    except TimeoutError:
        raise WebSocketDisconnect(POLICY) from None


async def refuse(socket: WebSocket, refusal: RefusedError) -> None:
    """Says why, and closes."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it may have gone meanwhile
        await send(socket, {"type": "error", "reason": refusal.reason})
        short = refusal.reason.encode()[:LONGEST_REASON].decode(errors="ignore")
        await socket.close(refusal.code, short)
