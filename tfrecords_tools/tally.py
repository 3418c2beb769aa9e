"""What a conversion counts while it writes, and what follows from the counts."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pydantic

from tfrecords_tools.dataset_info import KeypointStatistics, SplitInfo
from tfrecords_tools.extract import ExtractedClip, SkippedClip
from tfrecords_tools.keypoint_layout import KeypointLayout
from tfrecords_tools.moments import Moments
from tfrecords_tools.settings import Settings


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
            self._pixels.append(extracted.pixels)
        if extracted.keypoints:
            present = extracted.keypoints.presence
            for column, (group, rows) in enumerate(self._slices.items()):
                self._group_frames[group] += int(present[:, column].sum())
                points = extracted.keypoints.points[present[:, column], rows].reshape(-1, 3)
                self._group_points[group].append(Moments.of_values(points))

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
