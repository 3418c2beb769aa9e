"""Clips to a folder of records: the plan, the shards, and the description of the whole.

The plan (which clip goes to which shard) depends on the clips and settings alone. A run that was killed
starts again with the first shard that is not in the journal, so every clip is in exactly one record however
often it was killed.
"""

import contextlib
import csv
import functools
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydantic
from tqdm import tqdm

from tfrecords_tools.clips import (
    SPLITS,
    Clip,
    ClipSpec,
    CropSpec,
    SkippedPath,
    SplitSettings,
    assign_splits,
    shuffled,
)
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import (
    COVERAGE_NAME,
    FILE_NAME,
    LABEL_MAP_NAME,
    SCHEMA_VERSION,
    SHARD_PATTERN,
    SKIPPED_NAME,
    DatasetInfo,
    LayoutInfo,
    installed_versions,
    shard_name,
)
from tfrecords_tools.extract import KeypointReader, SkippedClip
from tfrecords_tools.journal import Journal, file_state, write_atomically
from tfrecords_tools.keypoint_layout import LAYOUTS, KeypointLayout
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.moments import Moments
from tfrecords_tools.schema import encode_record
from tfrecords_tools.settings import Settings
from tfrecords_tools.shards import ShardWriter
from tfrecords_tools.sources.base import Listing
from tfrecords_tools.tally import ShardReport, Tally, keypoint_statistics, merge_counts, merge_splits
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
    """A planned shard.

    Attributes:
        name: of its file.
        split: of its clips.
        clips: that it is to hold.
        fingerprint: changes when anything changes that its records depend on.
    """

    name: str
    split: str
    clips: tuple[Clip, ...]
    fingerprint: str = ""


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to make some of a conversion's shards.

    Attributes:
        shards: of the whole conversion.
        output: the records' folder.
        spec: what to make of a clip.
        label_map: ids of the glosses.
        reader: of a dataset of keypoints; None where clips are videos.
        layout: of the keypoints; None without.
    """

    shards: list[Shard]
    output: Path
    spec: ClipSpec
    label_map: LabelMap
    reader: KeypointReader | None
    layout: KeypointLayout | None


# Makes the missing shards of a job, and enters each in the journal once it is whole.
ShardsWriter = Callable[[Job, Sequence[Shard], Journal], None]


def convert(
    listing: Listing,
    output: Path,
    *,
    source: str,
    settings: ConvertSettings,
    workers: int | None = None,
    progress: bool = True,
    write_shards: "ShardsWriter | None" = None,
) -> DatasetInfo:
    """Writes clips as sharded records with ``dataset_info.json``, ``label_map.json`` and ``skipped.csv``.

    Where the source knows how much of a published list is there, ``coverage.json`` says so, and which clips were
    used.

    Args:
        listing: what the source found; clips without a split get one.
        output: folder to write; an interrupted conversion in it is continued.
        source: the source's name, for the records' description.
        settings: see ``ConvertSettings``.
        workers: processes; by default one a core.
        progress: whether to show a bar where there is a terminal.
        write_shards: how to make the shards that are missing; on local processes by default.

    Raises:
        UserError: there is nothing to convert, a clip is listed twice, ``output`` holds another conversion, or
            there is no room for a file. What is whole by then is not made again by the next run.
    """
    clip_spec, layout = _spec_and_layout(settings.clip, listing)
    label_map, clips, unknown = _label(listing.clips, settings)
    skipped = [*listing.skipped, *unknown]
    if not clips:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:3])
        raise UserError(f"nothing to convert: no clip was found{f' ({reasons})' if reasons else ''}")
    _check_unique(clips)
    clips = assign_splits(clips, settings.split)
    name = settings.name or output.resolve().name
    shards = plan_shards(clips, name, settings)
    job = _with_fingerprints(Job(shards, output, clip_spec, label_map, listing.reader, layout))
    identity = {"source": source, "settings": settings.model_dump(mode="json")}
    with contextlib.closing(Journal(output, identity)) as journal:
        missing = _missing_shards(job, journal)
        if missing:
            write = write_shards or functools.partial(_write_locally, workers=workers, progress=progress)
            write(job, missing, journal)
        reports = {shard.name: journal.find(shard.name, shard.fingerprint) for shard in job.shards}
        whole = {shard: report for shard, report in reports.items() if report}
        if len(whole) < len(reports):
            lost = next(shard for shard, report in reports.items() if not report)
            raise UserError(f"{output / lost}: was not written; run convert again")
        info = _describe(name, source, settings, job, whole, len(skipped))
        coverage = None if listing.coverage is None else listing.coverage | _clips_used(job, whole.values())
        _write_description(output, info, label_map, skipped, whole.values(), coverage)
    return info


def _spec_and_layout(spec: ClipSpec, listing: Listing) -> tuple[ClipSpec, KeypointLayout | None]:
    if listing.layout is not None:
        return spec.model_copy(update={"frames": False, "crop": CropSpec(), "keypoints": listing.layout.name}), (
            listing.layout
        )
    if spec.keypoints is None:
        return spec, None
    if spec.keypoints not in LAYOUTS:
        raise UserError(f"keypoints={spec.keypoints}: must be null or one of {', '.join(LAYOUTS)}")
    return spec, LAYOUTS[spec.keypoints]


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


def _with_fingerprints(job: Job) -> Job:
    """The job, each of its shards with its fingerprint; clips' files are looked at once, here."""
    reader: Any = job.reader
    shared = (
        job.spec.model_dump_json(),
        job.layout,
        getattr(getattr(reader, "func", reader), "__qualname__", None),
        getattr(reader, "keywords", None),  # the source's settings, which the reader obeys
        SCHEMA_VERSION,
        installed_versions(),
    )
    base = hashlib.sha256(repr(shared).encode())

    def fingerprint(shard: Shard) -> str:
        digest = base.copy()
        for clip in shard.clips:
            ids = [job.label_map.id(gloss) for gloss in clip.glosses]
            digest.update(repr((clip, file_state(clip), ids)).encode())
        return digest.hexdigest()

    return replace(job, shards=[replace(shard, fingerprint=fingerprint(shard)) for shard in job.shards])


def _missing_shards(job: Job, journal: Journal) -> list[Shard]:
    missing = [shard for shard in job.shards if journal.find(shard.name, shard.fingerprint) is None]
    if missing:
        # What it describes is about to change; until all is written, the folder is no dataset.
        (job.output / FILE_NAME).unlink(missing_ok=True)
    journal.remove_others(shard.name for shard in job.shards)
    return missing


def _write_locally(
    job: Job, missing: Sequence[Shard], journal: Journal, workers: int | None, progress: bool
) -> None:
    total = sum(len(shard.clips) for shard in job.shards)
    left = sum(len(shard.clips) for shard in missing)
    clips = (clip for shard in missing for clip in shard.clips)
    results = extract_clips(clips, job.spec, workers, job.reader)
    with tqdm(
        total=total, initial=total - left, desc="converting", unit="clip", disable=None if progress else True
    ) as bar:
        for shard in missing:
            journal.add(shard.name, write_shard(job, shard, results, bar))


def write_shard(job: Job, shard: Shard, results: Iterator[Result], bar: "tqdm[Any] | None" = None) -> ShardReport:
    """Writes one shard; it has its name only when it is whole.

    Args:
        job: what it belongs to.
        shard: to write.
        results: of its clips, in order.
        bar: told of every clip.
    """
    tally = Tally(job.layout)
    with ShardWriter(job.output / shard.name) as writer:
        for clip in shard.clips:
            result = next(results)
            if bar is not None:
                bar.update()
            if isinstance(result, SkippedClip):
                tally.skip(result)
                tqdm.write(f"skipped {clip.path}: {result.reason}")
                continue
            writer.write(encode_record(result, [job.label_map.id(gloss) for gloss in clip.glosses]))
            tally.add(result)
    return tally.report(shard.fingerprint, job.output / shard.name)


def _describe(
    name: str,
    source: str,
    settings: ConvertSettings,
    job: Job,
    reports: dict[str, ShardReport],
    num_skipped: int,
) -> DatasetInfo:
    by_split = {
        split: [report for shard, report in reports.items() if _split_of(shard) == split] for split in SPLITS
    }
    pixels = Moments.merged(report.pixels for report in by_split["train"])
    mean, deviation = pixels.mean_and_deviation()
    layout = job.layout
    return DatasetInfo(
        schema_version=SCHEMA_VERSION,
        name=name,
        source=source,
        clip_spec=job.spec,
        splits={split: merge_splits(report.split for report in by_split[split]) for split in SPLITS},
        split_settings=settings.split,
        shards={shard: report.split.clips for shard, report in reports.items()},
        num_skipped=num_skipped + sum(len(report.skipped) for report in reports.values()),
        crop_origins=merge_counts(report.crop_origins for report in reports.values()),
        mean=mean,
        standard_deviation=deviation,
        keypoint_layout=LayoutInfo(name=layout.name, points=layout.names, mirror_pairs=layout.mirror_pairs)
        if layout
        else None,
        keypoint_statistics=keypoint_statistics(by_split["train"], layout) if layout else {},
        tool_versions=installed_versions(),
    )


def _split_of(shard: str) -> str:
    match = SHARD_PATTERN.fullmatch(shard)
    return match["split"] if match else ""


def _clips_used(job: Job, reports: Iterable[ShardReport]) -> dict[str, Any]:
    """The clips that are in records, as sorted lines of media id, split and gloss, and the hash of these lines."""
    lost = {media_id for report in reports for media_id in report.skipped_ids}
    clips = sorted(
        f"{clip.media_id} {clip.split} {' '.join(clip.glosses)}"
        for shard in job.shards
        for clip in shard.clips
        if clip.media_id not in lost
    )
    return {"clips_sha256": hashlib.sha256("\n".join(clips).encode()).hexdigest(), "clips": clips}


def _write_description(
    output: Path,
    info: DatasetInfo,
    label_map: LabelMap,
    skipped: Sequence[SkippedPath],
    reports: Iterable[ShardReport],
    coverage: dict[str, Any] | None,
) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows((item.path, item.reason) for item in skipped)
    writer.writerows(row for report in reports for row in report.skipped)
    write_atomically(output / SKIPPED_NAME, table.getvalue())
    write_atomically(output / LABEL_MAP_NAME, label_map.to_json())
    if coverage is not None:
        write_atomically(output / COVERAGE_NAME, json.dumps(coverage, ensure_ascii=False, indent=1))
    # Last: its presence says that the conversion is complete.
    write_atomically(output / FILE_NAME, info.model_dump_json(indent=1))
