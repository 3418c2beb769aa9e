"""Records made once, in parts, from which any number of folders with other splits are made at no cost of disk.

A part is a folder of records of its own: a signer's clips, say. A folder of linked records has hard links to the
shards of parts under the names of its own splits, and a ``dataset_info.json`` of its own: every command reads it
like any other folder of records. Where the file system has no hard links, the shards are copied.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tfrecords_tools.clips import SPLITS, SplitSettings
from tfrecords_tools.command_line import UserError, writing
from tfrecords_tools.dataset_info import (
    FILE_NAME,
    LABEL_MAP_NAME,
    SHARD_PATTERN,
    SKIPPED_NAME,
    DatasetInfo,
    shard_name,
)
from tfrecords_tools.journal import JOURNAL_NAME, write_atomically
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.tally import ShardReport, keypoint_statistics, merge_splits


def link_records(parts: Mapping[str, list[Path]], directory: Path) -> DatasetInfo:
    """Makes a folder of records from parts; what is there already and has not changed stays.

    Args:
        parts: folders of keypoint records, by the split that they are to be; made by ``convert`` with the same
            settings and label map, nothing skipped. Their own splits do not matter.
        directory: to make; its name becomes the dataset's.

    Returns:
        Its description.

    Raises:
        UserError: parts have other glosses or keypoints than others, or a file cannot be written.
    """
    sources: dict[str, Path] = {}
    reports: dict[str, list[ShardReport]] = {}
    folders = [folder for split in SPLITS for folder in parts.get(split, [])]
    first, label_map = DatasetInfo.load(folders[0]), LabelMap.load(folders[0] / LABEL_MAP_NAME)
    for split in SPLITS:
        shards = []
        for folder in parts.get(split, []):
            info = DatasetInfo.load(folder)
            same_clips = (info.clip_spec, info.keypoint_layout) == (first.clip_spec, first.keypoint_layout)
            if not same_clips or LabelMap.load(folder / LABEL_MAP_NAME) != label_map:
                raise UserError(
                    f"{folder}: has other glosses or keypoints than {folders[0]}; delete both, try again"
                )
            shards += [folder / name for name in sorted(info.shards)]
        for index, shard in enumerate(shards):
            sources[shard_name(directory.name, split, index, len(shards))] = shard
        reports[split] = [_report(shard) for shard in shards]
    layout = first.layout
    counts = {
        name: report.split.clips
        for name, report in zip(sources, (report for split in SPLITS for report in reports[split]), strict=True)
    }
    info = first.model_copy(
        update={
            "name": directory.name,
            "splits": {split: merge_splits(report.split for report in reports[split]) for split in SPLITS},
            "split_settings": SplitSettings(),
            "shards": counts,
            "crop_origins": {},
            "keypoint_statistics": keypoint_statistics(reports["train"], layout) if layout else {},
        }
    )
    text = info.model_dump_json(indent=1)
    if not _is_current(directory, text, sources):
        _link(directory, sources)
        write_atomically(directory / LABEL_MAP_NAME, label_map.to_json())
        write_atomically(directory / SKIPPED_NAME, "path,reason\n")
        write_atomically(directory / FILE_NAME, text)  # last: its presence says that the folder is whole
    return info


def _report(shard: Path) -> ShardReport:
    """What ``convert`` wrote down about a shard."""
    path = shard.parent / JOURNAL_NAME / f"{shard.name}.json"
    try:
        return ShardReport.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise UserError(f"{path}: is missing or damaged; delete {shard.parent} and try again") from None


def _is_current(directory: Path, text: str, sources: Mapping[str, Path]) -> bool:
    """Whether a folder is whole, and its shards are those of the parts as they are now."""
    with contextlib.suppress(FileNotFoundError):
        return (directory / FILE_NAME).read_text(encoding="utf-8") == text and all(
            _state(directory / name) == _state(source) for name, source in sources.items()
        )
    return False


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _link(directory: Path, sources: Mapping[str, Path]) -> None:
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / FILE_NAME).unlink(missing_ok=True)
        for path in directory.iterdir():
            if SHARD_PATTERN.fullmatch(path.name):
                path.unlink()
        for name, source in sources.items():
            try:
                os.link(source, directory / name)
            except OSError:
                shutil.copy2(source, directory / name)
