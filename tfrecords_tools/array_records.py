"""Keypoints in memory to records: for scripts that bring in data of which no source knows the format.

Such a script yields an ``ArrayClip`` a clip. On the way to records the clips lie as ``keypoint_arrays`` in
``OUTPUT/arrays``. ``examples/`` has two of these scripts.
"""

import argparse
import csv
import io
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfrecords_tools.clips import SPLIT_NAMES, SPLITS, SkippedPath
from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, writing
from tfrecords_tools.dataset_info import SKIPPED_NAME, DatasetInfo
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.pipeline import ConvertSettings, convert
from tfrecords_tools.sources.keypoint_arrays import LAYOUT_NAME, ArrayLayout, KeypointArrays
from tfrecords_tools.sources.manifest import FILE_NAME

FOLDER_NAME = "arrays"


@dataclass(frozen=True)
class ArrayClip:
    """A clip to write.

    Attributes:
        path: of its array, relative to the folder; ends in ``.npy``.
        array: ``[T, K, 2 or 3]``, NaN where missing.
        columns: of its row in the manifest, beside ``path``; ``gloss`` or ``glosses`` at least.
        modified_ns: modification time that the array's file is to have, e.g. that of the file it comes from:
            ``convert``, which goes by it, then knows arrays again that were written anew. None: now.
    """

    path: str
    array: np.ndarray
    columns: dict[str, str] = field(default_factory=dict)
    modified_ns: int | None = None


def write_arrays(
    folder: Path, layout: ArrayLayout, clips: Iterable[ArrayClip | SkippedPath]
) -> tuple[list[Path], list[SkippedPath]]:
    """Writes a folder that ``KeypointArrays`` reads, one clip in memory at a time.

    Args:
        folder: made where it is missing. The manifest is written last, so a folder that has one is whole.
        layout: of all arrays.
        clips: to write, and what could not be read.

    Returns:
        The arrays' files, and what could not be read.

    Raises:
        UserError: a file cannot be written.
    """
    skipped: list[SkippedPath] = []
    rows: list[dict[str, str]] = []
    for clip in clips:
        if isinstance(clip, SkippedPath):
            skipped.append(clip)
            continue
        path = folder / clip.path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, clip.array, allow_pickle=False)
        if clip.modified_ns is not None:
            os.utime(path, ns=(clip.modified_ns, clip.modified_ns))
        rows.append({"path": clip.path} | clip.columns)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)  # of no clips, too
    write_atomically(folder / LAYOUT_NAME, layout.model_dump_json(exclude_defaults=True, indent=1))
    header = list(dict.fromkeys(key for row in rows for key in row)) or ["path", "gloss"]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / FILE_NAME, text.getvalue())
    return [folder / row["path"] for row in rows], skipped


def remove_arrays(files: Iterable[Path]) -> None:
    """Deletes arrays that records hold by now, and folders that this leaves empty."""
    folders = set()
    for file in files:
        file.unlink(missing_ok=True)
        folders.add(file.parent)
    for folder in folders:
        if not any(folder.iterdir()):
            folder.rmdir()


def convert_arrays(
    clips: Iterable[ArrayClip | SkippedPath],
    layout: ArrayLayout,
    output: Path,
    *,
    label_map: Path | None = None,
    workers: int | None = None,
    keep_arrays: bool = False,
) -> DatasetInfo:
    """Writes clips as arrays, makes records of them, and deletes the arrays, whatever became of the records.

    Args:
        clips: to convert, and what could not be read.
        layout: of all arrays.
        output: the records' folder; ``arrays`` in it keeps the manifest and the layout.
        label_map: a ``label_map.json`` to keep to; None for the glosses found.
        workers: processes; by default one a core.
        keep_arrays: whether the arrays stay.

    Raises:
        UserError: as for ``convert``.
    """
    if label_map is not None:
        LabelMap.load(label_map)  # before anything is written
    folder = output / FOLDER_NAME
    files, skipped = write_arrays(folder, layout, clips)
    try:
        listing = KeypointArrays().list_clips(folder)
        listing.skipped += skipped
        settings = ConvertSettings(label_map=str(label_map or ""))
        return convert(listing, output, source="keypoint_arrays", settings=settings, workers=workers)
    finally:
        if not keep_arrays:
            remove_arrays(files)


def build_parser(program: str, description: str, example: str) -> argparse.ArgumentParser:
    """A parser with the arguments of every script that converts arrays; it may add its own.

    Args:
        program: how the script is called.
        description: what it does, in a sentence.
        example: for the end of ``--help``.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--input", required=True, type=Path, metavar="DIR", help="folder to read")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder for the records")
    parser.add_argument("--split", choices=SPLIT_NAMES, metavar="NAME", help=f"{', '.join(SPLITS)} (default: all)")
    parser.add_argument(
        "--label-map", type=Path, metavar="FILE", help="label_map.json to keep to (default: the glosses found)"
    )
    parser.add_argument("--keep-arrays", action="store_true", help="do not delete OUTPUT/arrays/*.npy in the end")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    return parser


def run_conversion(
    arguments: argparse.Namespace, clips: Iterable[ArrayClip | SkippedPath], layout: ArrayLayout, noun: str
) -> int:
    """``convert_arrays`` as the arguments of ``build_parser`` ask for it, and a summary.

    Args:
        arguments: parsed.
        clips: as for ``convert_arrays``.
        layout: likewise.
        noun: what the clips are called in the summary, e.g. ``sentences``.

    Returns:
        The exit status.
    """
    info = convert_arrays(
        clips,
        layout,
        arguments.output,
        label_map=arguments.label_map,
        workers=arguments.workers,
        keep_arrays=arguments.keep_arrays,
    )
    glosses = Counter[str]()
    for split, part in info.splits.items():
        print(f"{split}: {part.clips} {noun} of {len(part.glosses)} glosses by {len(part.signers)} signers")
        glosses.update(part.glosses)
    num_clips = sum(part.clips for part in info.splits.values())
    print(f"{arguments.output}: {num_clips} {noun} of {len(glosses)} glosses")
    if info.num_skipped:
        print(f"{info.num_skipped} inputs were skipped: see {arguments.output / SKIPPED_NAME}")
        return SKIPPED_INPUTS
    return SUCCESS
