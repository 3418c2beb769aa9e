"""What each clip is like, in numbers: hands, drop-outs, sharpness, brightness; and which clips stand out.

Sharpness is the variance of the Laplacian, a focus measure: Pech-Pacheco et al. (2000), "Diatom autofocusing in
brightfield microscopy: a comparative study", measure LAPV in Pertuz et al. (2013); here over the variance of the
picture itself, or every dark clip would be a blurry one. It depends on what is in the picture, so it says nothing
by itself: a clip is called blurry by comparison with the other clips of its folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from tfrecords_tools.inspection.verify import duration
from tfrecords_tools.keypoint_layout import KeypointLayout

# Frames are measured at this short side at most, so that stored sizes do not decide.
MEASURED_SIDE = 256
# Mean grey of a dark clip, as a share of white. An underexposed photograph is darker than that almost everywhere.
DARK = 0.15
# A clip is blurry when its log sharpness lies this many deviations (estimated from the median absolute one,
# which outliers do not move) below the median. Source of 3.5: Iglewicz, Hoaglin (1993), "How to Detect and Handle
# Outliers".
BLUR_DEVIATIONS = 3.5
MAD_TO_DEVIATION = 1.4826
# Where the whole set is alike, the deviation is tiny and any clip would be an outlier: nothing is called blurry
# that is more than half as sharp as the rest.
LEAST_BLUR_RATIO = 0.5
# Hands seen in fewer of a clip's frames than this is little.
FEW_HANDS = 0.5
# A drop-out of this many seconds is long: about as long as the movement of a short sign.
LONG_GAP_SECONDS = 0.3


@dataclass(frozen=True)
class ClipMeasures:
    """One clip in numbers; NaN where there is nothing to measure. Numbers are rounded as they are shown.

    Attributes:
        media_id, signer, split: as in its record.
        glosses: likewise.
        frames: number of frames.
        seconds: its length; 0 for an image.
        frame_rate: frames per second.
        size: of stored frames, ``112x96``; empty without frames.
        hand_share: share of frames in which any hand was found.
        groups: share of frames in which each group of the layout was found.
        gap_frames: longest run of frames without any hand while hands were seen before and after.
        gap_seconds: the same in seconds.
        sharpness: median over frames; see ``sharpness``.
        brightness: mean grey over all frames, 0 black to 1 white.
        crop: what the stored picture was made from: ``hands``, ``upper_body`` or ``full``.
    """

    media_id: str
    glosses: tuple[str, ...]
    signer: str
    split: str
    frames: int
    seconds: float
    frame_rate: float
    size: str
    hand_share: float
    groups: tuple[float, ...]
    gap_frames: int
    gap_seconds: float
    sharpness: float
    brightness: float
    crop: str


class Meter:
    """Measures every clip of an inspection; an ``Observer``.

    Attributes:
        clips: measured so far, in the order of the records.
    """

    def __init__(self, layout: KeypointLayout | None) -> None:
        self.clips: list[ClipMeasures] = []
        self._hands = hand_columns(layout)
        self._record: dict[str, Any] = {}
        self._split = ""
        self._sharpness: list[float] = []
        self._brightness: list[float] = []

    def start_clip(self, split: str, record: dict[str, Any]) -> None:
        """See ``Observer``."""
        self._split, self._record, self._sharpness, self._brightness = split, record, [], []

    def add_frame(self, grey: np.ndarray) -> None:
        """See ``Observer``."""
        self._sharpness.append(sharpness(grey))
        self._brightness.append(float(grey.mean()) / 255)

    def finish_clip(self) -> None:
        """See ``Observer``."""
        record = self._record
        presence = record.get("presence")
        hands = presence[:, self._hands].any(axis=1) if presence is not None and self._hands else None
        gap = longest_gap(hands) if hands is not None else 0
        seconds = duration(record["timestamps"], float(record["frame_rate"]))
        has_frames = bool(record["jpegs"])
        self.clips.append(
            ClipMeasures(
                media_id=record["media_id"],
                glosses=tuple(record["glosses"]),
                signer=record["signer"],
                split=self._split,
                frames=int(record["num_frames"]),
                seconds=round(seconds, 3),
                frame_rate=round(float(record["frame_rate"]), 2),
                size=f"{record['width']}x{record['height']}" if has_frames else "",
                hand_share=_share(hands),
                groups=tuple(_share(column) for column in presence.T) if presence is not None else (),
                gap_frames=gap,
                gap_seconds=round(gap * seconds / max(1, len(hands)), 3) if hands is not None else float("nan"),
                sharpness=round(float(np.median(self._sharpness)), 4) if self._sharpness else float("nan"),
                brightness=round(float(np.mean(self._brightness)), 3) if self._brightness else float("nan"),
                crop=record["crop_origin"],
            )
        )


def hand_columns(layout: KeypointLayout | None) -> list[int]:
    """Columns of ``presence`` that are hands: groups of the layout with "hand" in their names."""
    if layout is None:
        return []
    return [column for column, (group, _) in enumerate(layout.groups) if "hand" in group.lower()]


def longest_gap(present: np.ndarray) -> int:
    """Length of the longest run of False between two True in ``[T]`` bool; 0 where there is none."""
    seen = np.flatnonzero(present)
    return int(np.diff(seen).max()) - 1 if len(seen) > 1 else 0


def sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian of a frame, uint8 ``[H, W]``, over that of its greys; 0 where all is one grey."""
    scale = MEASURED_SIDE / min(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    edges, greys = (float(cv2.meanStdDev(of)[1][0, 0]) ** 2 for of in (cv2.Laplacian(grey, cv2.CV_32F), grey))
    return edges / greys if greys else 0.0


def blur_limit(clips: Sequence[ClipMeasures]) -> float:
    """The sharpness below which a clip is blurry beside the others; 0 where no clip has frames."""
    values = np.array([clip.sharpness for clip in clips if np.isfinite(clip.sharpness)])
    if not len(values):
        return 0.0
    logs = np.log(values + 1e-4)
    median = np.median(logs)
    deviation = MAD_TO_DEVIATION * np.median(np.abs(logs - median))
    limit = min(np.exp(median - BLUR_DEVIATIONS * deviation), LEAST_BLUR_RATIO * np.exp(median))
    return round(float(limit), 4)


def flags(clip: ClipMeasures, limit: float) -> list[str]:
    """What is wrong with a clip: some of ``no hands``, ``few hands``, ``drop-out``, ``blurry``, ``dark``.

    Args:
        clip: to judge.
        limit: from ``blur_limit`` over all clips.
    """
    found = []
    if clip.hand_share == 0:
        found.append("no hands")
    elif clip.hand_share < FEW_HANDS:
        found.append("few hands")
    if clip.gap_seconds >= LONG_GAP_SECONDS:
        found.append("drop-out")
    if clip.sharpness < limit:
        found.append("blurry")
    if clip.brightness < DARK:
        found.append("dark")
    return found


def _share(values: np.ndarray | None) -> float:
    return round(float(values.mean()), 3) if values is not None and len(values) else float("nan")
