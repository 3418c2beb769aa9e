"""What goes over the wire: the JSON of answers, and the messages of a stream both ways.

To the server, a stream's frame is a binary message: four bytes that say what it is, the frame's time in seconds as
a little-endian float64, then its content. ``SKJ1`` is a JPEG; ``SKL1`` landmarks, little-endian float32 ``[K, 3]``,
NaN where not found. A message that is a bare JPEG counts as taken when it arrived. Text messages are JSON with a
``type``: ``landmarks``, ``finish``, ``token``.
"""

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from tfrecords_tools.keypoint_layout import ARM_BONES, HAND_BONES, KeypointLayout

JPEG_START = b"\xff\xd8"
HEADER = struct.Struct("<4sd")
JPEG, LANDMARKS = b"SKJ1", b"SKL1"
# Streams are shorter, and differences of later times would lose precision.
LATEST_SECONDS = 1e7
# In frame widths and heights no landmark is further away: whoever sends more sends pixels.
LARGEST_COORDINATE = 100.0


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


class GlossProbability(BaseModel):
    """A gloss and its probability."""

    gloss: str
    probability: float


class SignAnswer(BaseModel):
    """The most probable glosses of a video, best first; ``accepted`` is false where it shows no sign that the model
    knows.
    """

    predictions: list[GlossProbability]
    accepted: bool


class SignedGloss(BaseModel):
    """A gloss of a sentence, and when it is signed."""

    gloss: str
    start_seconds: float
    end_seconds: float
    confidence: float


class SentenceAnswer(BaseModel):
    """The sentence of a video. ``cut``: it is longer than the model takes, which saw its middle alone."""

    predicted_text: str
    predicted_glosses: list[SignedGloss]
    confidence: float | None
    cut: bool
    keyframe_indices: list[int] | None = None
    frame_scores: list[float] | None = None
    attention_weights: list[list[float]] | None = None
    frame_seconds: list[float] | None = None


class Labels(BaseModel):
    """What the model can say. ``no_sign`` is the gloss that stands for no sign; an answer below ``threshold``
    counts as none.
    """

    model: str
    task: Literal["isolated", "continuous"]
    glosses: list[str]
    no_sign: str | None
    threshold: float | None


class Health(BaseModel):
    """That the server answers, and with what."""

    status: Literal["ok"]
    model: str
    version: str
    uptime_seconds: float


class BadMessageError(Exception):
    """A message that is none of those above; says what was found, and what is expected."""


@dataclass(frozen=True)
class PictureFrame:
    """A JPEG; ``seconds`` is None where the sender did not say."""

    seconds: float | None
    jpeg: bytes


@dataclass(frozen=True)
class LandmarkFrame:
    """``landmarks``: float32 ``[K, 3]``, NaN where not found."""

    seconds: float
    landmarks: np.ndarray


@dataclass(frozen=True)
class Finish:
    """The stream has ended; its last events are wanted."""


@dataclass(frozen=True)
class Token:
    """Who the client is."""

    token: str


def parse_binary(content: bytes, layout: KeypointLayout) -> PictureFrame | LandmarkFrame:
    """Reads a binary message.

    Raises:
        BadMessageError: it is none.
    """
    if content.startswith(JPEG_START):
        return PictureFrame(None, content)
    if len(content) < HEADER.size or content[:4] not in (JPEG, LANDMARKS):
        raise BadMessageError(f"a binary message that begins with {content[:4]!r}; expected a JPEG, SKJ1 or SKL1")
    kind, seconds = HEADER.unpack_from(content)
    body = content[HEADER.size :]
    if kind == JPEG:
        return PictureFrame(_checked_seconds(seconds), body)
    expected = len(layout.names) * 3 * 4
    if len(body) != expected:
        raise BadMessageError(
            f"landmarks of {len(body)} bytes; expected {expected}: float32 [{len(layout.names)}, 3] in the order "
            f"of {layout.name}"
        )
    landmarks = np.frombuffer(body, "<f4").reshape(-1, 3).astype(np.float32)
    return LandmarkFrame(_checked_seconds(seconds), _checked_landmarks(landmarks))


def parse_text(text: str, layout: KeypointLayout) -> LandmarkFrame | Finish | Token:
    """Reads a text message.

    Raises:
        BadMessageError: it is none.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessageError("a text message that is no JSON") from None
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "finish":
        return Finish()
    if kind == "token" and isinstance(content.get("token"), str):
        return Token(content["token"])
    if kind == "landmarks":
        landmarks = _landmarks(content.get("landmarks"), layout)
        return LandmarkFrame(_checked_seconds(content.get("seconds")), _checked_landmarks(landmarks))
    raise BadMessageError(
        'a JSON message without a known type; expected {"type": "landmarks" | "finish" | "token", ...}'
    )


def _landmarks(value: Any, layout: KeypointLayout) -> np.ndarray:
    """``[K, 3]`` out of a list of K points, or of lists by group; None stands for what was not found."""
    points = np.full((len(layout.names), 3), np.nan)
    if isinstance(value, dict):
        unknown = [group for group in value if group not in layout.group_slices]
        if unknown:
            raise BadMessageError(f"landmarks of {unknown[0]!r:.40}; expected {', '.join(layout.group_slices)}")
        for group, rows in layout.group_slices.items():
            if value.get(group) is not None:
                points[rows] = _points(value[group], rows.stop - rows.start, group)
        return points
    points[:] = _points(value, len(points), "landmarks")
    return points


def _points(value: Any, number: int, name: str) -> np.ndarray:
    if not isinstance(value, list) or len(value) != number:
        found = f"{len(value)} points" if isinstance(value, list) else type(value).__name__
        raise BadMessageError(f"{name}: {found}; expected a list of {number} points [x, y, z]")
    missing = (math.nan,) * 3
    try:
        points = np.array([missing if point is None else point for point in value], np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.empty(0)
    if points.shape != (number, 3):
        raise BadMessageError(f"{name}: expected {number} points, each three numbers [x, y, z] or null")
    return points


def _checked_landmarks(landmarks: np.ndarray) -> np.ndarray:
    found = np.isfinite(landmarks).all(axis=1)
    if found.any() and np.abs(landmarks[found]).max() > LARGEST_COORDINATE:
        raise BadMessageError(
            f"landmarks up to {np.abs(landmarks[found]).max():g}; expected frame widths and heights, from 0 to 1"
        )
    return np.where(found[:, np.newaxis], landmarks, np.float32(np.nan)).astype(np.float32)


def _checked_seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST_SECONDS:
        raise BadMessageError(f"seconds: {value!r:.40}; expected a number from 0 to {LATEST_SECONDS:g}")
    return float(value)


def bones(layout: KeypointLayout) -> dict[str, list[list[int]]]:
    """Pairs of points of a group that a line is drawn between: arms and shoulders, and the hands' fingers."""
    drawn = {"pose": ARM_BONES, "left_hand": HAND_BONES, "right_hand": HAND_BONES}
    points = dict(layout.groups)
    return {
        group: [[points[group].index(start), points[group].index(end)] for start, end in pairs]
        for group, pairs in drawn.items()
        if group in points
    }


def landmark_groups(landmarks: np.ndarray, layout: KeypointLayout) -> dict[str, list[list[float]] | None]:
    """Each group's points as x and y, for drawing; None of a group that was not found."""
    return {
        group: landmarks[rows, :2].round(4).tolist() if np.isfinite(landmarks[rows, :2]).all() else None
        for group, rows in layout.group_slices.items()
    }
