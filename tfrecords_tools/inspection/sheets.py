"""Contact sheets: some clips as strips of frames with their keypoints drawn over them.

The clips are chosen while records stream by. A strip is drawn as soon as its clip is chosen, so no record is kept
and none is read again; a clip that is chosen and later gives way to a worse one costs a strip, which is rare.
"""

import base64
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from tfrecords_tools.clips import stable_hash
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspection.measures import ClipMeasures, Meter
from tfrecords_tools.keypoint_layout import KeypointLayout

FRAMES_IN_STRIP = 6
STRIP_HEIGHT = 120
JPEG_QUALITY = 78
MOST_GLOSSES, MOST_SIGNERS, MOST_WORST = 36, 24, 6
GROUND = (38, 42, 46)  # behind a skeleton, where there is no picture

Colour = tuple[int, int, int]
LEFT_COLOUR: Colour = (255, 158, 64)
RIGHT_COLOUR: Colour = (64, 214, 200)
BODY_COLOUR: Colour = (240, 240, 235)
FACE_COLOUR: Colour = (170, 170, 180)

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
BODY_LINES = (
    ("left_shoulder", "right_shoulder"),
    *((f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")),
    *((f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")),
    *((f"{side}_shoulder", f"{side}_hip") for side in ("left", "right")),
    ("left_hip", "right_hip"),
    *(("left_ear", "nose"), ("nose", "right_ear"), ("mouth_left", "mouth_right")),
)
# Guessed more than seen, as nobody signs with them: they do not decide what a skeleton's picture shows.
LEGS = ("hip", "knee", "ankle", "heel", "foot")
HAND_LINES = (
    *(("wrist", f"{finger}_{'cmc' if finger == 'thumb' else 'mcp'}") for finger in FINGERS),
    *(("thumb_cmc", "thumb_mcp"), ("thumb_mcp", "thumb_ip"), ("thumb_ip", "thumb_tip")),
    *(
        (f"{finger}_{one}", f"{finger}_{other}")
        for finger in FINGERS[1:]
        for one, other in (("mcp", "pip"), ("pip", "dip"), ("dip", "tip"))
    ),
)


@dataclass(frozen=True)
class Strip:
    """Frames of a clip, side by side.

    Attributes:
        clip: whose frames they are.
        source: ``data:`` address of a JPEG.
        width, height: in pixels.
    """

    clip: ClipMeasures
    source: str
    width: int
    height: int


@dataclass(order=True)
class _Ranked:
    badness: float
    order: int  # breaks ties by the clip's name, so that the order of shards decides nothing
    strip: Strip = field(compare=False)


class SheetPicker:
    """Chooses clips to show; an ``Observer`` that comes after the ``Meter`` that it asks for each clip's numbers.

    Attributes:
        glosses: a clip of each gloss, or of ``MOST_GLOSSES`` of them from the most to the least frequent.
        signers: likewise, of ``MOST_SIGNERS``.
    """

    def __init__(self, info: DatasetInfo, layout: KeypointLayout | None, meter: Meter) -> None:
        self._layout, self._meter = layout, meter
        self._record: dict[str, Any] = {}
        parts = info.splits.values()
        self.glosses: dict[str, Strip | None] = dict.fromkeys(
            _spread([part.glosses for part in parts], MOST_GLOSSES)
        )
        self.signers: dict[str, Strip | None] = dict.fromkeys(
            _spread([part.signers for part in parts], MOST_SIGNERS)
        )
        self._hashes: dict[tuple[str, str], int] = {}
        self._worst: dict[str, list[_Ranked]] = {}

    def start_clip(self, split: str, record: dict[str, Any]) -> None:
        """See ``Observer``."""
        self._record = record

    def add_frame(self, grey: np.ndarray) -> None:
        """See ``Observer``."""

    def finish_clip(self) -> None:
        """See ``Observer``."""
        clip = self._meter.clips[-1]
        order = stable_hash(0, clip.media_id)
        strip: Strip | None = None
        for samples, names in ((self.glosses, set(clip.glosses)), (self.signers, {clip.signer})):
            for name in names & samples.keys():
                key = ("gloss" if samples is self.glosses else "signer", name)
                if order < self._hashes.get(key, 1 << 64):
                    strip = strip or self._draw(clip)
                    self._hashes[key], samples[name] = order, strip
        for title, badness in _badness(clip):
            worst = self._worst.setdefault(title, [])
            if len(worst) < MOST_WORST or (badness, order) > (worst[0].badness, worst[0].order):
                strip = strip or self._draw(clip)
                if strip is not None:
                    (heapq.heappush if len(worst) < MOST_WORST else heapq.heappushpop)(
                        worst, _Ranked(badness, order, strip)
                    )

    def worst(self, title: str) -> list[Strip]:
        """The clips that are worst in something, the worst first; see ``WORST``."""
        return [ranked.strip for ranked in sorted(self._worst.get(title, []), reverse=True)]

    def _draw(self, clip: ClipMeasures) -> Strip | None:
        return draw_strip(clip, self._record, self._layout)


WORST = ("hands", "drop-outs", "blur", "darkness")


def _badness(clip: ClipMeasures) -> Iterator[tuple[str, float]]:
    if clip.hand_share < 1:
        yield "hands", 1 - clip.hand_share
    if clip.gap_seconds > 0:
        yield "drop-outs", clip.gap_seconds
    if np.isfinite(clip.sharpness):
        yield "blur", -clip.sharpness
        yield "darkness", -clip.brightness


def draw_strip(clip: ClipMeasures, record: dict[str, Any], layout: KeypointLayout | None) -> Strip | None:
    """Draws a clip; None where a record shows nothing.

    Args:
        clip: whose strip it is.
        record: from ``decode_record``.
        layout: of its keypoints; None without.
    """
    picture = strip_picture(record, layout)
    if picture is None:
        return None
    _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    source = "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")
    return Strip(clip, source, picture.shape[1], picture.shape[0])


def strip_picture(record: dict[str, Any], layout: KeypointLayout | None) -> np.ndarray | None:
    """``[STRIP_HEIGHT, W, 3]`` uint8 RGB: frames of a record with their keypoints, or skeletons where it has none.

    Args:
        record: from ``decode_record``.
        layout: of its keypoints; None without.

    Returns:
        None where a record shows nothing.
    """
    count = len(record["jpegs"]) or int(record["num_frames"])
    places = sorted(set(np.linspace(0, count - 1, FRAMES_IN_STRIP).round().astype(int).tolist())) if count else []
    pictures = list(_pictures(record, layout, places))
    return np.concatenate(pictures, axis=1) if pictures else None


def _pictures(record: dict[str, Any], layout: KeypointLayout | None, places: Sequence[int]) -> Iterator[np.ndarray]:
    """Frames uint8 RGB ``[STRIP_HEIGHT, W, 3]`` with keypoints."""
    x0, y0, x1, y1 = box = _view(record, layout) if layout else (0.0, 0.0, 1.0, 1.0)
    if not np.isfinite(box).all() or x1 <= x0 or y1 <= y0:
        return
    for place in places:
        if record["jpegs"]:
            image = cv2.imdecode(np.frombuffer(record["jpegs"][place], np.uint8), cv2.IMREAD_COLOR_RGB)
            if image is None:
                continue
            width = max(8, round(image.shape[1] * STRIP_HEIGHT / image.shape[0]))
            picture = cv2.resize(image, (width, STRIP_HEIGHT), interpolation=cv2.INTER_AREA)
        elif layout:
            aspect = (record["aspect_ratio"] or 1.0) * (x1 - x0) / (y1 - y0)
            width = round(STRIP_HEIGHT * float(np.clip(aspect, 0.4, 2.5)))
            picture = np.full((STRIP_HEIGHT, width, 3), GROUND, np.uint8)
        else:
            return
        if layout and place < len(record["keypoints"]):
            points = record["keypoints"][place, :, :2].astype(np.float64)
            points = (points - (x0, y0)) / (x1 - x0, y1 - y0) * (picture.shape[1], STRIP_HEIGHT)
            draw_keypoints(picture, points, layout)
        picture[:, -1] = 255  # between this frame and the next
        yield picture


def _view(record: dict[str, Any], layout: KeypointLayout) -> tuple[float, float, float, float]:
    """The part of the uncropped picture that is shown: that of the stored frames, or what holds the keypoints."""
    if record["jpegs"]:
        x0, y0, x1, y1 = record["hand_box"].tolist()
        return x0, y0, x1, y1
    rows = [row for row, name in enumerate(layout.names) if not any(leg in name for leg in LEGS)]
    points = record["keypoints"][:, rows, :2].astype(np.float64)
    points = points[np.isfinite(points).all(axis=-1)]
    if not len(points):
        return 0.0, 0.0, 1.0, 1.0
    # Two in a hundred may be lost: a stray point far away would make the rest tiny.
    low, high = np.percentile(points, [1, 99], axis=0)
    aspect = record["aspect_ratio"] or 1.0
    middle, half = (low + high) / 2, (high - low) * 0.58
    side = max(half[0] * aspect, half[1], 1e-3)
    half = np.maximum(half, np.array([0.5 * side / aspect, 0.5 * side]))
    return (*(middle - half).tolist(), *(middle + half).tolist())


def draw_keypoints(picture: np.ndarray, points: np.ndarray, layout: KeypointLayout) -> None:
    """Draws keypoints into a picture.

    Args:
        picture: uint8 RGB ``[H, W, 3]``, changed in place.
        points: ``[K, 2]`` in its pixels; NaN where missing.
        layout: of the points.
    """
    limit = 4 * max(picture.shape)  # OpenCV counts pixels in 16 bits beyond the point
    seen = np.isfinite(points).all(axis=1)
    places = np.clip(np.where(seen[:, None], points, 0), -limit, limit).round().astype(int)
    for group, members in layout.groups:
        start = layout.group_slices[group].start
        row = {name: start + index for index, name in enumerate(members)}
        colour = _colour(group)
        lines = [(a, b) for a, b in (*BODY_LINES, *HAND_LINES) if a in row and b in row]
        for a, b in lines:
            if seen[row[a]] and seen[row[b]]:
                cv2.line(picture, places[row[a]].tolist(), places[row[b]].tolist(), colour, 1, cv2.LINE_AA)
        if lines:
            continue  # they say it all, and dots would hide a small hand
        radius = 0 if len(members) > 50 else 1 if len(members) > 2 else 3
        for index in row.values():
            if seen[index]:
                cv2.circle(picture, places[index].tolist(), radius, colour, -1, cv2.LINE_AA)


def _colour(group: str) -> Colour:
    if "left" in group:
        return LEFT_COLOUR
    if "right" in group:
        return RIGHT_COLOUR
    return FACE_COLOUR if "face" in group else BODY_COLOUR


def _spread(counts: Sequence[dict[str, int]], most: int) -> list[str]:
    """At most ``most`` names, evenly over the names from the most to the least frequent."""
    total: dict[str, int] = {}
    for part in counts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    names = sorted(total, key=lambda name: (-total[name], name))
    places = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[place] for place in places]
