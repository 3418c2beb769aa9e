"""What clips are compared by: a clip as a short sequence of small vectors, and how far two of them are apart.

Two files that show one recording differ in compression, size, and a few frames at the ends; two takes of a sign
by the same person before the same wall differ in where the hands are when. So clips are compared moment by
moment: one is slid along the other (brought to its rate, if that differs), and what is left of a difference in the
best place is set against how much either clip moves at all. Copies come out far below 1, most takes near 1 or
above.

The method is sequence matching: Hampapur, Hyun, Bolle (2002), "Comparison of sequence matching techniques for video
copy detection", with two kinds of vectors:

- ``keypoints``: shoulders, elbows, wrists, fingertips; in shoulder widths from the middle of the shoulders where a
  layout has these, so that neither the picture's size nor its crop matter;
- ``frames``, which confirm keypoints and stand in where there are hardly any: the picture shrunk to a few grey
  blocks (Torralba et al. 2008, "80 million tiny images"), less its mean, over its deviation.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import cv2
import numpy as np

from tfrecords_tools.keypoint_layout import KeypointLayout

# Of a longer clip its middle is kept, which trimming moves by half of what it takes away.
MOST_SAMPLES = 64
# Frames beyond this rate are left out, every second or third: neighbours are alike.
MOST_RATE = 32.0
# Two rates that differ by less are one, written down differently.
SAME_RATE = 0.02
BLOCKS = 8
COARSE_TIMES = 6
POINTS_OF_A_GROUP = 8
WANTED_POINTS = frozenset(
    (
        *("pose/nose", "pose/left_shoulder", "pose/right_shoulder", "pose/left_elbow", "pose/right_elbow"),
        *("pose/left_wrist", "pose/right_wrist"),
        *(
            f"{side}_hand/{point}"
            for side in ("left", "right")
            for point in ("wrist", "thumb_tip", "index_tip", "middle_tip", "ring_tip", "pinky_tip")
        ),
    )
)
SHOULDERS = ("pose/left_shoulder", "pose/right_shoulder")
# Fewer coordinates found than this, over the whole clip, are too few to tell clips apart.
LEAST_FOUND = 0.25
# How far two copies are apart though nothing moves: keypoints in shoulder widths (without shoulders, in mean
# distances of a point from the middle of all), frames in deviations of the picture; more where there is one only.
KEYPOINT_NOISE, FRAME_NOISE, STILL_NOISE = 0.02, 0.05, 0.1
# One is slid along the other by up to this many seconds: a trimmed copy lacks that much at its start.
MOST_SHIFT_SECONDS = 0.8
# They must overlap in this share of the shorter one.
LEAST_OVERLAP = 0.7

Kind = Literal["keypoints", "frames"]


@dataclass(frozen=True)
class Signature:
    """A clip as it is compared.

    Attributes:
        kind: what its values are.
        values: ``[N, D]`` float16, a row a frame; NaN where not known.
        rate: rows a second.
        first: which row of the whole clip the first one is.
        noise: how much of a difference says nothing, in units of the values.
        mirror: ``[D]`` where each value goes when the picture is mirrored.
        signs: ``[D]`` what it is multiplied by then.
    """

    kind: Kind
    values: np.ndarray
    rate: float
    first: int
    noise: float
    mirror: np.ndarray
    signs: np.ndarray

    @cached_property
    def motion(self) -> float:
        """How much it moves: root mean square of the values less their means over time; 0 where nothing moves."""
        values = self.values.astype(np.float32)
        found = np.isfinite(values)
        mean = np.where(found, values, 0).sum(axis=0) / np.maximum(found.sum(axis=0), 1)
        return float(np.sqrt(np.mean((values - mean)[found] ** 2))) if found.any() else 0.0

    def scale(self, other_motion: float) -> float:
        """What a distance to a clip that moves by ``other_motion`` is measured in; never 0."""
        return (self.motion + other_motion) / 2 + self.noise

    def at_rate(self, rate: float) -> "Signature":
        """The same clip with another number of rows a second, in between which it is interpolated."""
        ratio = rate / self.rate
        if abs(ratio - 1) < SAME_RATE or len(self.values) < 2:
            return self
        values = self.values.astype(np.float32)
        places = np.arange(int((len(values) - 1) * ratio + 1e-6) + 1) / ratio
        left = np.minimum(places.astype(int), len(values) - 2)
        part = (places - left)[:, None].astype(np.float32)
        between = (1 - part) * values[left] + part * values[left + 1]
        return replace(self, values=between.astype(np.float16), rate=rate, first=round(self.first * ratio))

    def mirrored(self) -> "Signature":
        """The same clip as a mirror shows it."""
        values = (self.values * self.signs)[:, self.mirror]
        return replace(self, values=values)

    def coarse(self) -> np.ndarray:
        """``[COARSE_TIMES, D]`` float32: the clip in as many parts; where unknown, the mean of the whole."""
        values = self.values.astype(np.float32)
        found = np.isfinite(values)
        values = np.where(found, values, 0)
        mean = values.sum(axis=0) / np.maximum(found.sum(axis=0), 1)
        edges = np.linspace(0, len(values), COARSE_TIMES + 1)
        parts = [slice(int(low), max(int(low) + 1, round(high))) for low, high in pairwise(edges)]
        counts = np.stack([found[part].sum(axis=0) for part in parts])
        totals = np.stack([values[part].sum(axis=0) for part in parts])
        return np.where(counts > 0, totals / np.maximum(counts, 1), mean).astype(np.float32)


@dataclass(frozen=True)
class ClipSignature:
    """All that a clip is compared by.

    Attributes:
        keypoints: None where too few were found.
        frames: None where a record has none.
    """

    keypoints: Signature | None
    frames: Signature | None

    def of(self, kind: Kind) -> Signature:
        """The signature of a kind, which must be there."""
        signature = self.keypoints if kind == "keypoints" else self.frames
        if signature is None:
            raise ValueError(f"a clip without a signature of its {kind}")
        return signature


class SignatureMaker:
    """Makes the signature and the fingerprint of every clip of an inspection; an ``Observer``.

    Attributes:
        signatures: of the clips so far, in the order of the records; at most 13 kB a clip.
        fingerprints: 16 bytes of each clip that are the same for the same bytes of frames (of keypoints, where a
            record has no frames); empty where it holds neither.
    """

    def __init__(self, layout: KeypointLayout | None) -> None:
        self.signatures: list[ClipSignature] = []
        self.fingerprints: list[bytes] = []
        self._layout = layout
        self._rows = _chosen_rows(layout) if layout else []
        self._record: dict[str, Any] = {}
        self._blocks: list[np.ndarray] = []

    def start_clip(self, split: str, record: dict[str, Any]) -> None:
        """See ``Observer``."""
        self._record, self._blocks = record, []

    def add_frame(self, grey: np.ndarray) -> None:
        """See ``Observer``."""
        self._blocks.append(picture_blocks(grey))

    def finish_clip(self) -> None:
        """See ``Observer``."""
        self.fingerprints.append(fingerprint(self._record))
        keypoints = frames = None
        if len(self._record["timestamps"]):  # a record without is faulty, and reported as that
            if self._layout is not None:
                keypoints = keypoint_signature(self._record, self._layout, self._rows)
            if self._blocks:
                frames = frame_signature(np.stack(self._blocks), self._record["timestamps"])
        self.signatures.append(ClipSignature(keypoints, frames))


def picture_blocks(grey: np.ndarray) -> np.ndarray:
    """A frame, uint8 ``[H, W]``, as uint8 ``[BLOCKS * BLOCKS]``: the mean grey of each block."""
    return cv2.resize(grey, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA).ravel()


def fingerprint(record: dict[str, Any]) -> bytes:
    """16 bytes that are the same for two clips of the same bytes; none for a clip in which nothing was found."""
    digest = hashlib.blake2b(digest_size=16)
    if not record["jpegs"] and not np.isfinite(record.get("keypoints", np.nan)).any():
        return b""
    for jpeg in record["jpegs"]:
        digest.update(hashlib.blake2b(jpeg, digest_size=16).digest())
    if not record["jpegs"]:
        digest.update(record["keypoints"].tobytes())
    return digest.digest()


def keypoint_signature(
    record: dict[str, Any], layout: KeypointLayout, rows: Sequence[int] | None = None
) -> Signature | None:
    """The signature of a record's keypoints; None where too few were found.

    Args:
        record: from ``decode_record``.
        layout: of its keypoints.
        rows: which points; by default those that tell most.
    """
    chosen = list(_chosen_rows(layout) if rows is None else rows)
    points = record["keypoints"].astype(np.float32)[..., :2]
    points[..., 0] *= record["aspect_ratio"] or 1.0
    if not points.size or np.isfinite(points[:, chosen]).mean() < LEAST_FOUND:
        return None
    centre, scale, noise = _body(points, layout)
    values = ((points[:, chosen] - centre) / scale).reshape(len(points), -1)
    kept, rate, first = _middle(values, record["timestamps"])
    place = {row: index for index, row in enumerate(chosen)}
    partner = [place.get(layout.mirror_permutation[row], index) for index, row in enumerate(chosen)]
    mirror = np.array([2 * index + axis for index in partner for axis in (0, 1)])
    return Signature(
        "keypoints", kept, rate, first, noise, mirror, np.tile([-1.0, 1.0], len(chosen)).astype(np.float16)
    )


def frame_signature(blocks: np.ndarray, timestamps: np.ndarray) -> Signature:
    """The signature of a clip's frames.

    Args:
        blocks: uint8 ``[T, BLOCKS * BLOCKS]``.
        timestamps: int64 ``[T]`` microseconds.
    """
    values = blocks.astype(np.float32)
    values = (values - values.mean()) / max(float(values.std()), 1.0)
    kept, rate, first = _middle(values, timestamps)
    mirror = np.arange(BLOCKS * BLOCKS).reshape(BLOCKS, BLOCKS)[:, ::-1].ravel()
    noise = FRAME_NOISE if len(values) > 1 else STILL_NOISE
    return Signature("frames", kept, rate, first, noise, mirror, np.ones(BLOCKS * BLOCKS, np.float16))


def distance(one: Signature, other: Signature) -> float:
    """How far two clips are apart where they agree best, as a share of how much they move.

    Returns:
        0 for the same; about 1 for clips that differ as much as either moves; infinity where they cannot be
        compared.
    """
    if one.kind != other.kind:
        return float("inf")
    other = other.at_rate(one.rate)
    most = round(MOST_SHIFT_SECONDS * one.rate)
    middle = one.first - other.first
    scale = one.scale(other.motion)
    apart, best = _least_residual(one.values, other.values, range(middle - most, middle + most + 1))
    if apart > scale:
        return apart / scale  # no fraction of a frame would bring them together
    for part in (0.25, 0.5, 0.75) if len(other.values) > 1 else ():
        between = (1 - part) * other.values[:-1].astype(np.float32) + part * other.values[1:]
        apart = min(apart, _least_residual(one.values, between, range(best - 1, best + 1))[0])
    return apart / scale


def _least_residual(one: np.ndarray, other: np.ndarray, shifts: range) -> tuple[float, int]:
    """The least root mean square of ``one[i] - other[i + shift]``, and its shift; infinity without enough overlap.

    Squared distances of all pairs of rows come out of matrix products, then each shift is a diagonal: ten times
    as fast as sliding, which tells over the tens of thousands of pairs of a large folder.
    """
    # Squares of pixel positions leave no digits to single precision.
    a, b = one.astype(np.float64), other.astype(np.float64)
    a_found, b_found = np.isfinite(a), np.isfinite(b)
    a, b = np.where(a_found, a, 0), np.where(b_found, b, 0)
    squares = a**2 @ b_found.T + a_found @ (b**2).T - 2 * a @ b.T
    counts = a_found.astype(np.float64) @ b_found.T
    least, best = float("inf"), 0
    needed = max(1.0, LEAST_OVERLAP * min(len(a), len(b)))
    for shift in shifts:
        overlap = min(len(a), len(b) - shift) - max(0, -shift)
        if overlap < needed:
            continue
        found = counts.diagonal(shift).sum()
        if found < LEAST_FOUND * overlap * a.shape[1]:
            continue
        apart = math.sqrt(max(0.0, squares.diagonal(shift).sum() / found))
        if apart < least:
            least, best = apart, shift
    return least, best


def _chosen_rows(layout: KeypointLayout) -> list[int]:
    """Rows of the points that tell most; of a layout of other points, some of each group, with mirror partners."""
    rows: set[int] = set()
    for group, part in layout.group_slices.items():
        members = range(part.start, part.stop)
        wanted = [row for row in members if layout.names[row] in WANTED_POINTS]
        if not wanted and (group != "face" or len(layout.groups) == 1):
            places = np.linspace(0, len(members) - 1, min(POINTS_OF_A_GROUP, len(members))).round().astype(int)
            wanted = [members[place] for place in places]
        rows.update(wanted)
    return sorted(rows | {layout.mirror_permutation[row] for row in rows})


def _body(points: np.ndarray, layout: KeypointLayout) -> tuple[np.ndarray, float, float]:
    """Where a clip's person is, how large, and the noise in that unit.

    Without shoulders, points stay as they are: what else could be measured depends on which part of a movement a
    copy holds. Then copied keypoints are found, in one unit and not mirrored.
    """
    if set(SHOULDERS) <= set(layout.names):
        left, right = (points[:, layout.row(name)] for name in SHOULDERS)
        seen = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
        width = np.linalg.norm(left[seen] - right[seen], axis=1)
        if seen.mean() >= 0.5 and np.median(width) > 0:
            return np.median((left[seen] + right[seen]) / 2, axis=0), float(np.median(width)), KEYPOINT_NOISE
    found = points[np.isfinite(points).all(axis=-1)]
    spread = float(np.abs(found - np.median(found, axis=0)).mean())
    return np.zeros(2, np.float32), 1.0, KEYPOINT_NOISE * spread or KEYPOINT_NOISE


def _middle(values: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, float, int]:
    """The middle of values ``[T, D]`` as float16 ``[N, D]``, its rate, and which row of the whole its first is."""
    seconds = float(timestamps[-1] - timestamps[0]) / 1e6
    rate = (len(timestamps) - 1) / seconds if seconds > 0 else 1.0
    step = max(1, math.ceil(rate / MOST_RATE))
    values = values[::step]
    first = max(0, (len(values) - MOST_SAMPLES) // 2)
    return values[first : first + MOST_SAMPLES].astype(np.float16), rate / step, first
