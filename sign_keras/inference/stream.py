"""Live recognition: frames as they come to events, whatever they come from: a file, a camera, a socket.

Hands that set off begin a sign, hands that rest end it (``activity``). A model that names one sign is asked about
what lies between (``sign_segments``), one that reads sentences goes along with it (``signed_sentences``).

All times are the caller's, in seconds from any fixed moment. What is said depends on the frames and their times
alone, not on how fast they are pushed; and no more is remembered than a sign or a window is long.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from sign_keras.inference.activity import ActivityDetector, Movement
from sign_keras.inference.artefact import Artefact
from sign_keras.inference.live_frames import LiveFrame, live_frame
from sign_keras.inference.predictor import ScoredGloss
from sign_keras.inference.sign_segments import SignSegments
from sign_keras.inference.signed_sentences import SignedSentences
from sign_keras.inference.stream_settings import StreamSettings
from sign_keras.inference.timed_glosses import TimedGloss
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import LAYOUTS, MEDIAPIPE_HOLISTIC

# Frames that come faster than any camera gives them are left out: memory is bounded by time.
HIGHEST_FRAME_RATE = 120.0


@dataclass(frozen=True)
class StreamEvent:
    """Something that happened in a stream.

    Models of single signs say ``sign_started``, then ``sign`` if they know it, then ``sign_ended``. Models of
    sentences say ``sign_started`` and ``sign_ended`` of a stretch of signing, and in between one ``sign`` for each
    gloss, with the gloss's own times.

    Attributes:
        kind: what happened.
        seconds: stream time at which it was said.
        start_seconds: when the hands set off, or a sentence's gloss begins.
        end_seconds: when they had come to rest, or the gloss ends; None of ``sign_started``.
        gloss: of ``sign``.
        confidence: of ``sign``, in [0, 1].
    """

    kind: Literal["sign_started", "sign", "sign_ended"]
    seconds: float
    start_seconds: float
    end_seconds: float | None = None
    gloss: str | None = None
    confidence: float | None = None


class _Reader(Protocol):
    """Reads what is signed between two rests; every method returns the glosses that are sure by then."""

    scores: tuple[ScoredGloss, ...]

    def begin(self, start_seconds: float, frames: Sequence[LiveFrame]) -> list[TimedGloss]: ...

    def add(self, frame: LiveFrame) -> list[TimedGloss]: ...

    def end(self, end_seconds: float) -> list[TimedGloss]: ...


class SignStream:
    """Recognises signs in one stream.

    Attributes:
        needs_frames: whether ``push`` wants frames beside landmarks.
        num_late: frames so far that came out of their order, and were left out.
    """

    def __init__(self, artefact: Artefact, settings: StreamSettings | None = None) -> None:
        """Begins a stream.

        Args:
            artefact: any model; several streams may share it.
            settings: see ``StreamSettings``.

        Raises:
            UserError: the model takes keypoints that no camera gives, or no window as long as the settings'.
        """
        self._settings = settings or StreamSettings()
        layout = LAYOUTS.get(artefact.keypoint_layout or MEDIAPIPE_HOLISTIC.name)
        if layout is None:
            raise UserError(
                f"{artefact.name}: takes keypoints of the layout {artefact.keypoint_layout!r}; no camera has them"
            )
        self.needs_frames = "frames" in artefact.input_names
        self.num_late = 0
        self._num_points = len(layout.names)
        self._recent: deque[LiveFrame] = deque()  # of which a sign that begins may be made
        is_isolated = artefact.task == "isolated"
        longest = self._settings.max_sign_seconds if is_isolated else None
        self._activity = ActivityDetector(layout, self._settings, longest)
        self._reader: _Reader = (
            SignSegments(artefact, layout, self._settings)
            if is_isolated
            else SignedSentences(artefact, layout, self._settings)
        )
        self._now: float | None = None
        self._time = 0.0

    @property
    def scores(self) -> tuple[ScoredGloss, ...]:
        """The best glosses of what is being signed or was signed last, best first; empty before the first."""
        return self._reader.scores

    @property
    def active(self) -> bool:
        """Whether a sign is being made."""
        return self._activity.active

    def push(self, seconds: float, landmarks: np.ndarray, frame: np.ndarray | None = None) -> list[StreamEvent]:
        """Takes the next frame; one that is not later than the one before is left out.

        Args:
            seconds: when it was taken.
            landmarks: ``[K, 3]`` float of the artefact's layout, as MediaPipe gives them; NaN where not found.
            frame: uint8 RGB ``[H, W, 3]``; where the model needs none, its aspect ratio alone is looked at.

        Returns:
            What happened, often nothing.

        Raises:
            ValueError: landmarks of another shape, no frame where one is needed, or a time that is none.
        """
        if landmarks.shape != (self._num_points, 3):
            raise ValueError(f"landmarks of shape {landmarks.shape}; expected [{self._num_points}, 3]")
        if self.needs_frames and frame is None:
            raise ValueError("the model looks at frames, and landmarks came without one")
        if not np.isfinite(seconds):
            raise ValueError(f"a frame at {seconds} seconds; expected a number")
        if self._now is not None and seconds - self._now < 1 / HIGHEST_FRAME_RATE:
            self.num_late += seconds <= self._now
            return []
        self._now = self._time = seconds
        live = live_frame(seconds, landmarks, frame if self.needs_frames else None)
        aspect = self._settings.aspect_ratio if frame is None else frame.shape[1] / frame.shape[0]
        was_active = self._activity.active
        movements = self._activity.push(seconds, live.landmarks, aspect)
        self._remember(live, None if was_active else self._activity.start_seconds)
        events: list[StreamEvent] = []
        # A frame after a gap is no part of what ended before it; of what is cut for its length, it is the last.
        if was_active and not any(movement.is_broken_off for movement in movements):
            events += self._signs(self._reader.add(live))
        for movement in movements:
            events += self._events(movement)
        return events

    def finish(self) -> list[StreamEvent]:
        """Ends the stream: what was going on ends with its last frame. Another one may begin."""
        events = [event for movement in self._activity.finish() for event in self._events(movement)]
        self._recent.clear()
        self._now = None
        return events

    def _remember(self, frame: LiveFrame, start: float | None) -> None:
        """Keeps what a movement may be made of: everything since ``start`` where one has begun, else the latest."""
        self._recent.append(frame)
        needed = frame.seconds - self._settings.smoothing_seconds
        if start is not None:
            needed = min(needed, start)
        while len(self._recent) > 1 and self._recent[1].seconds <= needed:
            self._recent.popleft()

    def _events(self, movement: Movement) -> list[StreamEvent]:
        start, end = movement.start_seconds, movement.end_seconds
        if end is None:
            started = StreamEvent("sign_started", self._time, start)
            frames = [frame for frame in self._recent if frame.seconds >= start]
            return [started, *self._signs(self._reader.begin(start, frames))]
        ended = StreamEvent("sign_ended", self._time, start, end)
        return [*self._signs(self._reader.end(end)), ended]

    def _signs(self, glosses: list[TimedGloss]) -> list[StreamEvent]:
        return [
            StreamEvent("sign", self._time, sign.start_seconds, sign.end_seconds, sign.gloss, sign.confidence)
            for sign in glosses
        ]
