"""What a conversion counts while it writes, and what follows from the counts."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pydantic

from tfrecords_tools.dataset_info import KeypointStatistics, SplitInfo
from tfrecords_tools.extract import ExtractedClip, SkippedClip
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.settings import Settings

Triple = tuple[float, float, float]


class Moments(Settings):
    """Sums over values of three channels (R, G, B, or x, y, z), from which mean and deviation follow.

    Attributes:
        count: of values a channel.
        total: their sum, by channel.
        squares: the sum of their squares.
    """

    count: int = 0
    total: Triple = (0.0, 0.0, 0.0)
    squares: Triple = (0.0, 0.0, 0.0)

    @classmethod
    def merged(cls, parts: Iterable["Moments"]) -> "Moments":
        """The sums over several parts."""
        parts = list(parts)
        total = np.sum([part.total for part in parts], axis=0) if parts else np.zeros(3)
        squares = np.sum([part.squares for part in parts], axis=0) if parts else np.zeros(3)
        return cls(count=sum(part.count for part in parts), total=_triple(total), squares=_triple(squares))

    def mean_and_deviation(self) -> tuple[Triple, Triple] | tuple[None, None]:
        """By channel; None where nothing was counted."""
        if not self.count:
            return None, None
        mean = np.array(self.total) / self.count
        variance = np.array(self.squares) / self.count - mean**2
        return _triple(mean), _triple(np.sqrt(np.maximum(variance, 0)))


class ShardReport(Settings):
    """What became of a shard's clips.

    Attributes:
        fingerprint: of all that its records depend on.
        num_bytes: size of the shard's file.
        split: what it holds.
        crop_origins: clips by what their crop was made from.
        skipped: (path, reason) of each clip that could not be read.
        skipped_ids: media ids of these clips; several may be parts of one video.
        pixels: over its stored frames, in [0, 255].
        group_frames: frames in which each keypoint group was found.
        group_points: over the points found, by group.
    """

    fingerprint: str
    num_bytes: int
    split: SplitInfo
    crop_origins: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    skipped_ids: tuple[str, ...] = ()
    pixels: Moments = Moments()
    group_frames: dict[str, int] = pydantic.Field(default_factory=dict)
    group_points: dict[str, Moments] = pydantic.Field(default_factory=dict)


class Tally:
    """Counts the clips of one shard as they are written."""

    def __init__(self, layout: KeypointLayout | None) -> None:
        self._slices = layout.group_slices if layout else {}
        self._clips = self._frames = 0
        self._glosses, self._signers, self._origins = Counter[str](), Counter[str](), Counter[str]()
        self._skipped: list[tuple[str, str]] = []
        self._skipped_ids: list[str] = []
        self._pixels: list[Moments] = []
        self._group_frames = Counter[str]()
        self._group_points: dict[str, list[Moments]] = {group: [] for group in self._slices}

    def skip(self, skipped: SkippedClip) -> None:
        """Counts a clip that could not be read."""
        self._skipped.append((skipped.clip.path, skipped.reason))
        self._skipped_ids.append(skipped.clip.media_id)

    def add(self, extracted: ExtractedClip) -> None:
        """Counts a clip that was written."""
        clip = extracted.clip
        self._clips += 1
        self._frames += len(extracted.seconds)
        self._glosses.update(set(clip.glosses))
        self._signers.update([clip.signer] if clip.signer else [])
        self._origins.update([extracted.crop_box.origin])
        if extracted.pixels:
            sums = extracted.pixels
            self._pixels.append(Moments(count=sums.count, total=_triple(sums.total), squares=_triple(sums.squares)))
        if extracted.keypoints:
            present = extracted.keypoints.presence
            for column, (group, rows) in enumerate(self._slices.items()):
                self._group_frames[group] += int(present[:, column].sum())
                points = extracted.keypoints.points[present[:, column], rows].reshape(-1, 3).astype(np.float64)
                self._group_points[group].append(
                    Moments(
                        count=len(points),
                        total=_triple(points.sum(axis=0)),
                        squares=_triple((points**2).sum(axis=0)),
                    )
                )

    def report(self, fingerprint: str, path: Path) -> ShardReport:
        """The report on the shard, once it is whole at ``path``."""
        return ShardReport(
            fingerprint=fingerprint,
            num_bytes=path.stat().st_size,
            split=SplitInfo(
                clips=self._clips, frames=self._frames, glosses=dict(self._glosses), signers=dict(self._signers)
            ),
            crop_origins=dict(self._origins),
            skipped=tuple(self._skipped),
            skipped_ids=tuple(self._skipped_ids),
            pixels=Moments.merged(self._pixels),
            group_frames=dict(self._group_frames),
            group_points={group: Moments.merged(parts) for group, parts in self._group_points.items()},
        )


def merge_splits(parts: Iterable[SplitInfo]) -> SplitInfo:
    """The counts of several shards as one."""
    parts = list(parts)
    return SplitInfo(
        clips=sum(part.clips for part in parts),
        frames=sum(part.frames for part in parts),
        glosses=merge_counts(part.glosses for part in parts),
        signers=merge_counts(part.signers for part in parts),
    )


def merge_counts(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Sums by key, keys sorted."""
    total = Counter[str]()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


def keypoint_statistics(reports: Iterable[ShardReport], layout: KeypointLayout) -> dict[str, KeypointStatistics]:
    """By group of the layout, over the clips of some shards."""
    reports = list(reports)
    frames = sum(report.split.frames for report in reports)
    statistics = {}
    for group, _ in layout.groups:
        found = sum(report.group_frames.get(group, 0) for report in reports)
        points = Moments.merged(report.group_points.get(group, Moments()) for report in reports)
        mean, deviation = points.mean_and_deviation()
        statistics[group] = KeypointStatistics(
            presence=found / frames if frames else 0.0, mean=mean, standard_deviation=deviation
        )
    return statistics


def _triple(values: np.ndarray) -> Triple:
    x, y, z = values.tolist()
    return x, y, z
