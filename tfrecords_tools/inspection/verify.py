"""Verifies every record of a folder, counts, and lets observers look at what it reads.

Nothing is taken on trust: every frame is decoded, every count is made anew and compared with what
``dataset_info.json`` says. That is the one pass over the data; whoever else wants to see clips is an
``Observer`` of it, so that no frame is decoded twice.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL.Image
from tqdm import tqdm

from tfrecords_tools.clips import SPLITS
from tfrecords_tools.dataset_info import LABEL_MAP_NAME, SHARD_PATTERN, DatasetError, DatasetInfo, SplitInfo
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.schema import RecordError, decode_record
from tfrecords_tools.shards import read_shard


class Observer(Protocol):
    """Follows an inspection: is told of every record that can be read, and of its frames."""

    def start_clip(self, split: str, record: dict[str, Any]) -> None:
        """A record comes.

        Args:
            split: it is in.
            record: from ``decode_record``.
        """

    def add_frame(self, grey: np.ndarray) -> None:
        """A frame of it that could be decoded, uint8 ``[H, W]``; in order."""

    def finish_clip(self) -> None:
        """All its frames were seen."""


@dataclass
class SplitStatistics:
    """Counts over the records of one split.

    Attributes:
        clips: number of records.
        frames: over all of them.
        glosses: clips per gloss; a sentence counts once for each of its glosses.
        signers: clips per signer, where signers are known.
        seconds: total duration.
        present_frames: frames in which each group of the keypoint layout was found, by the group's name.
    """

    clips: int = 0
    frames: int = 0
    glosses: Counter[str] = field(default_factory=Counter)
    signers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    present_frames: Counter[str] = field(default_factory=Counter)

    def add(self, record: dict[str, Any], groups: Sequence[str]) -> None:
        """Counts one parsed record, its values as NumPy arrays."""
        num_frames = int(record["num_frames"])
        self.clips += 1
        self.frames += num_frames
        self.glosses.update(set(record["glosses"]))
        if signer := record["signer"]:
            self.signers[signer] += 1
        self.seconds += duration(record["timestamps"], float(record["frame_rate"]))
        if groups:
            self.present_frames.update(dict(zip(groups, record["presence"].sum(axis=0).tolist(), strict=True)))

    def as_info(self) -> SplitInfo:
        """The part that ``dataset_info.json`` states."""
        return SplitInfo(
            clips=self.clips, frames=self.frames, glosses=dict(self.glosses), signers=dict(self.signers)
        )


@dataclass
class Inspection:
    """What an inspection found.

    Attributes:
        statistics: by split.
        problems: one line each, naming the shard and the record.
    """

    statistics: dict[str, SplitStatistics]
    problems: list[str]


def inspect_records(directory: Path, progress: bool = True, observers: Sequence[Observer] = ()) -> Inspection:
    """Verifies every record of every shard in a folder.

    Args:
        directory: with ``dataset_info.json`` and shards.
        progress: whether to show a bar where there is a terminal.
        observers: shown every record that can be read.

    Raises:
        UserError: the folder's description or label map is missing or cannot be read.
    """
    info = DatasetInfo.load(directory)
    return _Inspector(directory, info, LabelMap.load(directory / LABEL_MAP_NAME), observers).run(progress)


class _Inspector:
    def __init__(
        self, directory: Path, info: DatasetInfo, label_map: LabelMap, observers: Sequence[Observer]
    ) -> None:
        self._directory, self._info, self._label_map = directory, info, label_map
        self._observers = observers
        self._layout = info.layout
        self._groups = [group for group, _ in self._layout.groups] if self._layout else []
        self._first_seen: dict[str, str] = {}
        self._result = Inspection({split: SplitStatistics() for split in SPLITS}, [])

    def run(self, progress: bool) -> Inspection:
        total = sum(self._info.shards.values())
        with tqdm(total=total, desc="inspecting", unit="clip", disable=None if progress else True) as bar:
            for name in sorted(self._info.shards):
                self._inspect_shard(name, bar)
        promised = set(self._info.shards)
        for path in sorted(self._directory.iterdir()):
            if SHARD_PATTERN.fullmatch(path.name) and path.name not in promised:
                self._report(f"{path.name}: is not listed in dataset_info.json")
        self._compare_counts()
        return self._result

    def _report(self, problem: str) -> None:
        self._result.problems.append(problem)

    def _inspect_shard(self, name: str, bar: "tqdm[Any]") -> None:
        match = SHARD_PATTERN.fullmatch(name)
        if not match or match["split"] not in SPLITS:
            self._report(f"{name}: is no shard's name")
            return
        count = 0
        try:
            if not (self._directory / name).is_file():
                raise DatasetError(f"{name}: shard is missing")
            for serialized in read_shard(self._directory / name):
                self._inspect_record(serialized, match["split"], f"{name} record {count}")
                count += 1
                bar.update()
        except DatasetError as error:
            self._report(str(error).removeprefix(f"{self._directory}/"))
        else:
            if count != self._info.shards[name]:
                self._report(f"{name}: holds {count} records, dataset_info.json says {self._info.shards[name]}")

    def _inspect_record(self, serialized: bytes, split: str, where: str) -> None:
        try:
            record = decode_record(serialized, self._layout)
        except RecordError as error:
            self._report(f"{where}: {error}")
            return
        media_id = record["media_id"]
        self._result.statistics[split].add(record, self._groups)
        if media_id in self._first_seen:
            self._report(f"{where}: media id {media_id!r} is also that of {self._first_seen[media_id]}")
        self._first_seen.setdefault(media_id, where)
        for observer in self._observers:
            observer.start_clip(split, record)
        for fault in self._faults(record):
            self._report(f"{where} ({media_id}): {fault}")
        for observer in self._observers:
            observer.finish_clip()

    def _faults(self, record: dict[str, Any]) -> Iterator[str]:
        yield from _label_faults(record, self._label_map)
        yield from _time_faults(record)
        if self._info.clip_spec.frames:
            yield from _frame_faults(record, self._observers)
        if not np.isfinite(record["hand_box"]).all():
            yield f"clip/hand_box is {record['hand_box'].tolist()}"
        if self._layout is not None:
            for column, group in enumerate(self._groups):
                points = record["keypoints"][:, self._layout.group_slices[group]]
                finite = np.isfinite(points).all(axis=(1, 2))
                if not np.array_equal(finite, record["presence"][:, column]):
                    yield f"keypoints/presence of {group} does not agree with keypoints/encoded"

    def _compare_counts(self) -> None:
        for split in SPLITS:
            promised = self._info.splits.get(split, SplitInfo())
            found = self._result.statistics[split].as_info()
            for key in SplitInfo.model_fields:
                said, is_there = getattr(promised, key), getattr(found, key)
                if said != is_there:
                    self._report(f"split {split}: {key}: {_difference(said, is_there)}")


def _label_faults(record: dict[str, Any], label_map: LabelMap) -> Iterator[str]:
    if not len(record["labels"]):
        yield "has no label"
    for gloss, label in zip(record["glosses"], record["labels"].tolist(), strict=True):
        if not 0 <= label < len(label_map):
            yield f"label {label} is outside the label map of {len(label_map)} glosses"
        elif label_map.glosses[label] != gloss:
            yield f"label {label} is {label_map.glosses[label]!r} in the label map, the record says {gloss!r}"


def _time_faults(record: dict[str, Any]) -> Iterator[str]:
    timestamps, num_frames = record["timestamps"], int(record["num_frames"])
    if num_frames < 1:
        yield "has no frames"
    if len(timestamps) != num_frames:
        yield f"has {len(timestamps)} timestamps for {num_frames} frames"
    if (np.diff(timestamps) <= 0).any():
        yield "timestamps do not increase"


def _frame_faults(record: dict[str, Any], observers: Sequence[Observer]) -> Iterator[str]:
    jpegs, num_frames = record["jpegs"], int(record["num_frames"])
    stated = (record["width"], record["height"])
    if len(jpegs) != num_frames:
        yield f"has {len(jpegs)} images for {num_frames} frames"
    for index, jpeg in enumerate(jpegs):
        try:
            with PIL.Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
                image.load()
                size = image.size
                grey = np.asarray(image.convert("L"))
        except OSError:
            yield f"frame {index} is no JPEG that decodes"
        else:
            if size != stated:
                yield f"frame {index} is {size[0]}x{size[1]}, the record says {stated[0]}x{stated[1]}"
            for observer in observers:
                observer.add_frame(grey)


def duration(timestamps: np.ndarray, frame_rate: float) -> float:
    """Seconds from the first frame to the end of the last; 0 for an image."""
    if not len(timestamps) or frame_rate <= 0:
        return 0.0
    return float(timestamps[-1] - timestamps[0]) / 1e6 + 1 / frame_rate


def _difference(said: Any, found: Any) -> str:
    if not isinstance(said, dict):
        return f"dataset_info.json says {said}, the records hold {found}"
    keys = sorted(key for key in said.keys() | found.keys() if said.get(key, 0) != found.get(key, 0))
    shown = ", ".join(f"{key!r} {said.get(key, 0)} against {found.get(key, 0)}" for key in keys[:3])
    return f"dataset_info.json and the records differ in {len(keys)} of them: {shown}"


def format_statistics(info: DatasetInfo, statistics: dict[str, SplitStatistics]) -> str:
    """A table with a line for each split."""
    groups = [group for group, _ in info.layout.groups] if info.layout else []
    header = ["split", "clips", "glosses", "signers", "frames", "mean seconds", *groups]
    rows = [header]
    for split, counts in statistics.items():
        seconds = f"{counts.seconds / counts.clips:.2f}" if counts.clips else "-"
        shares = [_percent(counts.present_frames[group], counts.frames) for group in groups]
        numbers = (counts.clips, len(counts.glosses), len(counts.signers), counts.frames)
        rows.append([split, *map(str, numbers), seconds, *shares])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
