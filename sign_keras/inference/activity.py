"""When hands move: where signing begins and ends in a stream of landmarks.

A hand's speed is that of its points in shoulder widths a second, relative to the shoulders: neither the distance to
the camera nor a camera that moves counts. Hands that rest or are not found for a while end what they began. This
looks at motion alone: it does not know what a sign is.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sign_keras.inference.stream_settings import StreamSettings
from tfrecords_tools.keypoint_layout import KeypointLayout

SIDES = ("left", "right")
SHOULDERS = ("pose/left_shoulder", "pose/right_shoulder")
# Shoulders that are seen from the side look narrower than they are; speeds must not become infinite.
MIN_SHOULDER_WIDTH = 0.02


@dataclass(frozen=True)
class Movement:
    """A stretch of time in which hands move.

    Attributes:
        kind: ``started`` once it has lasted long enough; ``ended`` once it is over.
        start_seconds: when the hands set off.
        end_seconds: when they had come to rest; None of one that goes on.
        is_broken_off: whether it ended because no frames came, with the last one that did.
    """

    kind: Literal["started", "ended"]
    start_seconds: float
    end_seconds: float | None = None
    is_broken_off: bool = False


class HandSpeed:
    """Speed of the faster hand, frame by frame, as a mean over the last few frames."""

    def __init__(self, layout: KeypointLayout, smoothing_seconds: float) -> None:
        self._smoothing = smoothing_seconds
        self._shoulders = list(layout.rows(SHOULDERS))
        self._hands = [layout.group_slices[f"{side}_hand"] for side in SIDES]
        self._wrists = [layout.row(f"pose/{side}_wrist") for side in SIDES]
        self._body: tuple[np.ndarray, float] | None = None
        self._before: tuple[float, np.ndarray] | None = None
        # (seconds at the end, seconds long, how far each hand went)
        self._steps: deque[tuple[float, float, np.ndarray]] = deque()

    def push(self, seconds: float, landmarks: np.ndarray, aspect_ratio: float) -> float:
        """Takes a frame; returns the speed, in shoulder widths a second, 0 where no hand is found.

        Args:
            seconds: later than the frame before.
            landmarks: ``[K, 3]``, NaN where not found.
            aspect_ratio: width / height of the picture.
        """
        points = landmarks[:, :2].astype(np.float64) * (aspect_ratio, 1.0)
        shoulders = points[self._shoulders]
        if np.isfinite(shoulders).all():
            width = float(np.linalg.norm(shoulders[0] - shoulders[1]))
            self._body = (shoulders.mean(axis=0), max(width, MIN_SHOULDER_WIDTH))
        if self._body is None:  # nobody was seen yet
            return 0.0
        points = (points - self._body[0]) / self._body[1]
        # Wrists of the pose are guessed beyond the picture's edges.
        in_view = (np.abs(landmarks[self._wrists, :2] - 0.5) <= 0.5).all(axis=1)
        points[self._wrists] = np.where(in_view[:, None], points[self._wrists], np.nan)
        if self._before is not None:
            duration = seconds - self._before[0]
            self._steps.append((seconds, duration, self._way(self._before[1], points)))
        self._before = (seconds, points)
        while self._steps and self._steps[0][0] <= seconds - self._smoothing:
            self._steps.popleft()
        if not self._steps:
            return 0.0
        way = np.sum([step[2] for step in self._steps], axis=0)
        return float(way.max() / sum(step[1] for step in self._steps))

    def _way(self, before: np.ndarray, now: np.ndarray) -> np.ndarray:
        """``[2]``: how far each hand went: its points on average, its arm's wrist where it was not found."""
        ways = []
        for hand, wrist in zip(self._hands, self._wrists, strict=True):
            moved = np.linalg.norm(now[hand] - before[hand], axis=1)
            way = moved.mean() if np.isfinite(moved).all() else np.linalg.norm(now[wrist] - before[wrist])
            ways.append(way if np.isfinite(way) else 0.0)
        return np.array(ways)


class ActivityDetector:
    """Turns speeds into movements; every ``started`` is followed by its ``ended``."""

    def __init__(self, layout: KeypointLayout, settings: StreamSettings, max_seconds: float | None) -> None:
        """Begins a stream.

        Args:
            layout: of the landmarks.
            settings: thresholds and times.
            max_seconds: a movement is cut there; None: never.
        """
        self._layout, self._settings, self._max_seconds = layout, settings, max_seconds
        self._speed = HandSpeed(layout, settings.smoothing_seconds)
        self._now: float | None = None
        self._begin = -math.inf  # what came before belongs to the movement before
        self._start: float | None = None  # of a movement, be it long enough or not
        self._first_moving = self._last_moving = 0.0  # frames of it that were fast enough
        self.active = False

    @property
    def start_seconds(self) -> float | None:
        """When the present movement began, whether it has lasted long enough or not; None at rest."""
        return self._start

    def push(self, seconds: float, landmarks: np.ndarray, aspect_ratio: float) -> list[Movement]:
        """Takes a frame, later than the one before; arguments as of ``HandSpeed.push``."""
        found = []
        if self._now is not None and seconds - self._now > self._settings.gap_seconds:
            found += self.finish()
        if self._now is None:
            self._begin = seconds
        previous, self._now = self._now, seconds
        speed = self._speed.push(seconds, landmarks, aspect_ratio)
        if self._start is None:
            if speed >= self._settings.start_speed and previous is not None:
                # The mean is above the threshold somewhat after the first movement that it is of.
                start = min(previous, seconds - self._settings.smoothing_seconds)
                self._start = max(start, self._begin)
                self._first_moving = self._last_moving = seconds
        elif speed >= self._settings.stop_speed:
            self._last_moving = seconds
        return found + self._changes(seconds)

    def finish(self) -> list[Movement]:
        """Ends the movement that is going on, if any, with the last frame."""
        ended = self._end(self._last_moving, is_broken_off=True)
        self._now, self._speed = None, HandSpeed(self._layout, self._settings.smoothing_seconds)
        return ended

    def _changes(self, seconds: float) -> list[Movement]:
        if self._start is None:
            return []
        found = []
        if not self.active and self._last_moving - self._first_moving >= self._settings.min_sign_seconds:
            self.active = True
            found.append(Movement("started", self._start))
        if seconds - self._last_moving >= self._settings.hold_seconds:
            found += self._end(self._last_moving)
        elif self._max_seconds is not None and seconds - self._start >= self._max_seconds:
            found += self._end(seconds)
        return found

    def _end(self, end_seconds: float, is_broken_off: bool = False) -> list[Movement]:
        start, was_active = self._start, self.active
        self._start, self.active = None, False
        self._begin = max(self._begin, end_seconds)
        return [Movement("ended", start, end_seconds, is_broken_off)] if was_active and start is not None else []
