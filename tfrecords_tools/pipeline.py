"""Clips to a folder of records: the plan, the shards, and the description of the whole.

The plan (which clip goes to which shard) depends on the clips and settings alone. A run that was killed
starts again with the first shard that is not in the journal, so every clip is in exactly one record however
often it was killed.
"""

import contextlib
import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from tqdm import tqdm

from tfrecords_tools.clips import SPLITS, Clip, ClipSpec, SkippedPath, SplitSettings, assign_splits, shuffled
from tfrecords_tools.command_line import UserError, quiet_tensorflow
from tfrecords_tools.dataset_info import (
    FILE_NAME,
    LABEL_MAP_NAME,
    SCHEMA_VERSION,
    SHARD_PATTERN,
    SKIPPED_NAME,
    DatasetInfo,
    LayoutInfo,
    SplitInfo,
    installed_versions,
    shard_name,
)
from tfrecords_tools.extract import SkippedClip
from tfrecords_tools.journal import Journal, ShardReport, file_state, write_atomically
from tfrecords_tools.keypoint_layout import LAYOUTS
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import Settings
from tfrecords_tools.workers import Result, extract_clips


class ConvertSettings(Settings):
    """Everything that ``--set`` can change about a conversion.

    Attributes:
        clip: see ``ClipSpec``; its fields may be given without the prefix, e.g. ``crop.mode=hands``.
        split: see ``SplitSettings``.
        name: of the dataset; the output folder's name when empty.
        label_map: a ``label_map.json`` to keep to; without one, the glosses found, sorted.
        clips_per_shard: number of clips in a shard, before skips.
        seed: of the order of clips over shards.
    """

    clip: ClipSpec = ClipSpec()
    split: SplitSettings = SplitSettings()
    name: str = ""
    label_map: str = ""
    clips_per_shard: int = pydantic.Field(default=64, ge=1)
    seed: int = 0

    @pydantic.model_validator(mode="before")
    @classmethod
    def _lift_clip_fields(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        lifted = {key: value for key, value in values.items() if key in ClipSpec.model_fields}
        rest = {key: value for key, value in values.items() if key not in lifted}
        clip = rest.get("clip", {})
        return {**rest, "clip": {**clip, **lifted}} if lifted and isinstance(clip, dict) else values


@dataclass(frozen=True)
class Shard:
    """A planned shard: its file name, its split, and the clips it is to hold."""

    name: str
    split: str
    clips: tuple[Clip, ...]

    def fingerprint(self, spec: ClipSpec, label_map: LabelMap) -> str:
        """Changes when anything changes that its records depend on."""
        content = {
            "clips": [(asdict(clip), file_state(clip)) for clip in self.clips],
            "labels": [[label_map.id(gloss) for gloss in clip.glosses] for clip in self.clips],
            "spec": spec.model_dump(),
            "schema": SCHEMA_VERSION,
            "tools": installed_versions(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def convert(
    clips: Sequence[Clip],
    output: Path,
    *,
    source: str,
    settings: ConvertSettings,
    workers: int | None = None,
    skipped: Sequence[SkippedPath] = (),
    progress: bool = True,
) -> DatasetInfo:
    """Writes clips as sharded records with ``dataset_info.json``, ``label_map.json`` and ``skipped.csv``.

    Args:
        clips: what the source listed; those without a split get one.
        output: folder to write; an interrupted conversion in it is continued.
        source: the source's name, for the records' description.
        settings: see ``ConvertSettings``.
        workers: processes; by default one a core.
        skipped: what the source could not list.
        progress: whether to show a bar where there is a terminal.

    Raises:
        UserError: there is nothing to convert, a clip is listed twice, or ``output`` holds another
            conversion.
    """
    label_map, clips, unknown = _label(clips, settings)
    if not clips:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in [*skipped, *unknown][:3])
        raise UserError(f"nothing to convert: no clip was found{f' ({reasons})' if reasons else ''}")
    _check_unique(clips)
    clips = assign_splits(clips, settings.split)
    name = settings.name or output.resolve().name
    shards = plan_shards(clips, name, settings)
    identity = {"source": source, "settings": settings.model_dump(mode="json")}
    with contextlib.closing(Journal(output, identity)) as journal:
        reports = _write_shards(shards, output, settings.clip, label_map, journal, workers, progress)
        info = _describe(name, source, settings, reports, len(skipped) + len(unknown))
        _write_description(output, info, label_map, [*skipped, *unknown], reports.values())
    return info


def _label(clips: Sequence[Clip], settings: ConvertSettings) -> tuple[LabelMap, list[Clip], list[SkippedPath]]:
    """The label map, the clips whose glosses it holds, and the others."""
    if not settings.label_map:
        return LabelMap.from_unsorted(gloss for clip in clips for gloss in clip.glosses), list(clips), []
    label_map = LabelMap.load(Path(settings.label_map))
    known = [clip for clip in clips if all(gloss in label_map for gloss in clip.glosses)]
    unknown = [
        SkippedPath(clip.path, f"gloss {' '.join(clip.glosses)!r} is not in {settings.label_map}")
        for clip in clips
        if not all(gloss in label_map for gloss in clip.glosses)
    ]
    return label_map, known, unknown


def _check_unique(clips: Sequence[Clip]) -> None:
    media_id, count = Counter(clip.media_id for clip in clips).most_common(1)[0]
    if count > 1:
        raise UserError(f"clip {media_id!r} is listed {count} times; each must be listed once")


def plan_shards(clips: Sequence[Clip], dataset: str, settings: ConvertSettings) -> list[Shard]:
    """Deals clips to shards in an order that depends on their names and the seed alone."""
    shards = []
    for split in SPLITS:
        members = shuffled([clip for clip in clips if clip.split == split], settings.seed)
        count = -(-len(members) // settings.clips_per_shard)
        for index in range(count):
            # Strides, not runs: the shards of a split then differ by one clip at most.
            shards.append(Shard(shard_name(dataset, split, index, count), split, tuple(members[index::count])))
    return shards


def _write_shards(
    shards: Sequence[Shard],
    output: Path,
    spec: ClipSpec,
    label_map: LabelMap,
    journal: Journal,
    workers: int | None,
    progress: bool,
) -> dict[str, ShardReport]:
    fingerprints = {shard.name: shard.fingerprint(spec, label_map) for shard in shards}
    reports = {
        shard.name: report for shard in shards if (report := journal.find(shard.name, fingerprints[shard.name]))
    }
    missing = [shard for shard in shards if shard.name not in reports]
    if missing:
        # What it describes is about to change; until all is written, the folder is no dataset.
        (output / FILE_NAME).unlink(missing_ok=True)
    journal.remove_others(fingerprints)
    total = sum(len(shard.clips) for shard in shards)
    left = sum(len(shard.clips) for shard in missing)
    results = extract_clips((clip for shard in missing for clip in shard.clips), spec, workers)
    with tqdm(
        total=total, initial=total - left, desc="converting", unit="clip", disable=None if progress else True
    ) as bar:
        if missing:
            quiet_tensorflow()  # takes seconds, so only now that the workers are busy
        for shard in missing:
            report = _write_shard(shard, output, label_map, fingerprints[shard.name], results, bar)
            journal.add(shard.name, report)
            reports[shard.name] = report
    return {shard.name: reports[shard.name] for shard in shards}


def _write_shard(
    shard: Shard,
    output: Path,
    label_map: LabelMap,
    fingerprint: str,
    results: Iterator[Result],
    bar: "tqdm[Any]",
) -> ShardReport:
    # Here rather than on top: whoever imports this module, for --help say, need not wait for TensorFlow.
    from tfrecords_tools.schema import encode_record
    from tfrecords_tools.shards import ShardWriter

    frames, glosses, signers, origins = 0, Counter[str](), Counter[str](), Counter[str]()
    pixel_count, pixel_total, pixel_squares = 0, np.zeros(3), np.zeros(3)
    skipped: list[tuple[str, str]] = []
    with ShardWriter(output / shard.name) as writer:
        for clip in shard.clips:
            result = next(results)
            bar.update()
            if isinstance(result, SkippedClip):
                skipped.append((clip.path, result.reason))
                bar.write(f"skipped {clip.path}: {result.reason}")
                continue
            writer.write(encode_record(result, [label_map.id(gloss) for gloss in clip.glosses]))
            frames += len(result.seconds)
            glosses.update(set(clip.glosses))
            signers.update([clip.signer] if clip.signer else [])
            origins.update([result.crop_box.origin])
            if result.pixels:
                pixel_count += result.pixels.count
                pixel_total += result.pixels.total
                pixel_squares += result.pixels.squares
    return ShardReport(
        fingerprint=fingerprint,
        num_bytes=(output / shard.name).stat().st_size,
        split=SplitInfo(clips=writer.count, frames=frames, glosses=dict(glosses), signers=dict(signers)),
        crop_origins=dict(origins),
        skipped=tuple(skipped),
        pixel_count=pixel_count,
        pixel_total=tuple(pixel_total.tolist()),
        pixel_squares=tuple(pixel_squares.tolist()),
    )


def _describe(
    name: str, source: str, settings: ConvertSettings, reports: dict[str, ShardReport], num_skipped: int
) -> DatasetInfo:
    by_split = {
        split: [report for shard, report in reports.items() if _split_of(shard) == split] for split in SPLITS
    }
    mean, deviation = _pixel_statistics(by_split["train"])
    layout = LAYOUTS[settings.clip.keypoints] if settings.clip.keypoints else None
    return DatasetInfo(
        schema_version=SCHEMA_VERSION,
        name=name,
        source=source,
        clip_spec=settings.clip,
        splits={split: _merge([report.split for report in by_split[split]]) for split in SPLITS},
        split_settings=settings.split,
        shards={shard: report.split.clips for shard, report in reports.items()},
        num_skipped=num_skipped + sum(len(report.skipped) for report in reports.values()),
        crop_origins=_sum_counts(report.crop_origins for report in reports.values()),
        mean=mean,
        standard_deviation=deviation,
        keypoint_layout=LayoutInfo(name=layout.name, points=layout.names) if layout else None,
        tool_versions=installed_versions(),
    )


def _split_of(shard: str) -> str:
    match = SHARD_PATTERN.fullmatch(shard)
    return match["split"] if match else ""


def _merge(parts: Sequence[SplitInfo]) -> SplitInfo:
    return SplitInfo(
        clips=sum(part.clips for part in parts),
        frames=sum(part.frames for part in parts),
        glosses=_sum_counts(part.glosses for part in parts),
        signers=_sum_counts(part.signers for part in parts),
    )


def _sum_counts(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items()))


def _pixel_statistics(reports: Sequence[ShardReport]) -> tuple[Any, Any]:
    count = sum(report.pixel_count for report in reports)
    if not count:
        return None, None
    mean = np.sum([report.pixel_total for report in reports], axis=0) / count
    squares = np.sum([report.pixel_squares for report in reports], axis=0) / count
    deviation = np.sqrt(np.maximum(squares - mean**2, 0))
    return tuple(mean.tolist()), tuple(deviation.tolist())


def _write_description(
    output: Path,
    info: DatasetInfo,
    label_map: LabelMap,
    skipped: Sequence[SkippedPath],
    reports: Iterable[ShardReport],
) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows((item.path, item.reason) for item in skipped)
    writer.writerows(row for report in reports for row in report.skipped)
    write_atomically(output / SKIPPED_NAME, table.getvalue())
    write_atomically(output / LABEL_MAP_NAME, label_map.to_json())
    # Last: its presence says that the conversion is complete.
    write_atomically(output / FILE_NAME, info.model_dump_json(indent=1))
