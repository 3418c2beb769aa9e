"""Kaggle's "Google - Isolated Sign Language Recognition" (``asl-signs``): keypoints of single signs, in parquet.

Layout, as the competition's data page gives it (https://www.kaggle.com/competitions/asl-signs/data)::

    train.csv                                              path,participant_id,sequence_id,sign
    sign_to_prediction_index_map.json                      {"TV": 0, "after": 1, ...}
    train_landmark_files/<participant_id>/<sequence_id>.parquet

A parquet file has the columns ``frame`` (number in the raw video), ``row_id``, ``type``, ``landmark_index``,
``x``, ``y``, ``z`` and 543 rows a frame: face 468, left hand 21, pose 33, right hand 21, in this order. Values are
MediaPipe Holistic's: x, y in frame widths and heights; missing ones are null (or NaN).
"""

import functools
import importlib.util
import json
import os
from collections import Counter
from collections.abc import Collection
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from tfrecords_tools.clips import Clip, ClipError, SkippedPath
from tfrecords_tools.command_line import UserError
from tfrecords_tools.extract import KeypointRecording
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.label_map import LabelMap, LabelMapError
from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.sources.holistic import holistic_keypoints
from tfrecords_tools.sources.tables import Row, RowError, clips_of_rows, read_table

TABLE_NAME, LABELS_NAME = "train.csv", "sign_to_prediction_index_map.json"
TABLE_COLUMNS = ("path", "participant_id", "sequence_id", "sign")
# ``row_id`` repeats the three others as text, and is most of a file's bytes: it is not read.
COLUMNS = ("frame", "type", "landmark_index", "x", "y", "z")
GROUPS = ("face", "left_hand", "pose", "right_hand")
SIZES = [len(dict(MEDIAPIPE_HOLISTIC.groups)[group]) for group in GROUPS]
ROWS_PER_FRAME = sum(SIZES)
ENDS = (0, *accumulate(SIZES))
SLICES = {group: slice(*ends) for group, ends in zip(GROUPS, pairwise(ENDS), strict=True)}
# In frame widths. MediaPipe guesses points a little outside of the frame; parquet pages have no check sums.
LARGEST_COORDINATE = 1000
# What each of a frame's rows must be: its group's place in GROUPS, and its point's in the group.
ROW_GROUPS = np.repeat(np.arange(len(GROUPS)), SIZES)
ROW_POINTS = np.concatenate([np.arange(size) for size in SIZES])


class GISLR(Source):
    """Kaggle's Isolated Sign Language Recognition: ``train.csv`` and parquet files of keypoints.

    Signers are the participants. Listing reads the table and the names in the participants' folders: rows whose
    file is not there are skipped. Needs pyarrow (``pip install 'sign_keras[gislr]'``).

    Attributes:
        frame_rate: of the raw videos, which the dataset does not state; times follow from the frames' numbers.
        write_label_map: where to write Kaggle's ids as a ``label_map.json``; give the same file to
            ``--set label_map=FILE``, and the records have Kaggle's ids. Without, ids are those of the glosses
            found, sorted: the same as Kaggle's where every one of its signs is there.
    """

    frame_rate: float = pydantic.Field(default=30.0, gt=0)
    write_label_map: str = ""

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        if importlib.util.find_spec("pyarrow") is None:
            raise UserError("gislr reads parquet files with pyarrow: pip install 'sign_keras[gislr]'")
        label_map = load_label_map(path / LABELS_NAME)
        table = read_table(path / TABLE_NAME, TABLE_COLUMNS)
        files = _files(path, {row["path"].rpartition("/")[0] for _, row in table.rows if row})
        listing, missing = Listing(layout=MEDIAPIPE_HOLISTIC), list[str]()
        listing.reader = functools.partial(read_sequence, frame_rate=self.frame_rate)
        published = Counter[str]()
        clip_of = functools.partial(_clip, root=path, label_map=label_map, frame_rate=self.frame_rate)
        for clip in clips_of_rows(table.file, table.rows, clip_of, listing.skipped, what="sequence"):
            published.update(clip.glosses)
            if clip.media_id in files:
                listing.clips.append(clip)
            else:
                missing.append(clip.media_id)
                listing.skipped.append(SkippedPath(clip.path, "no such file"))
        here = Counter(clip.glosses[0] for clip in listing.clips)
        listing.missing, listing.coverage = missing, _coverage(here, published)
        if missing:
            listing.notes.append(f"{TABLE_NAME}: {here.total():,} of {published.total():,} sequences are here")
        listing.notes += self._label_notes(label_map, here)
        return listing

    def _label_notes(self, label_map: LabelMap, found: Collection[str]) -> list[str]:
        """Writes the label map where it is asked for; else says so where the records' ids will not be Kaggle's."""
        if self.write_label_map:
            write_atomically(Path(self.write_label_map), label_map.to_json())
            return [f"{self.write_label_map}: Kaggle's {len(label_map)} label ids"]
        if LabelMap.from_unsorted(found) == label_map:
            return []
        return [
            f"label ids will be places in the sorted list of the {len(found)} signs found, not "
            f"those of {LABELS_NAME}; for these add --set source.write_label_map=FILE --set label_map=FILE"
        ]


def load_label_map(path: Path) -> LabelMap:
    """Reads ``sign_to_prediction_index_map.json``: ``{"TV": 0, "after": 1}``.

    Raises:
        LabelMapError: the file is missing, is no such mapping, or its ids do not run from 0 without a gap.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabelMapError(f"{path}: no such file; it is part of the download from Kaggle") from None
    except ValueError:  # of JSON or of UTF-8
        raise LabelMapError(f"{path}: is no JSON text; download it again") from None
    if not isinstance(content, dict) or not all(type(index) is int for index in content.values()):
        raise LabelMapError(f'{path}: expected {{"sign": id, ...}}')
    if sorted(content.values()) != list(range(len(content))):
        raise LabelMapError(f"{path}: ids must run from 0 to {len(content) - 1}, each once and without a gap")
    return LabelMap(sorted(content, key=content.__getitem__))


def _files(root: Path, folders: Collection[str]) -> set[str]:
    """The files in some folders, relative to ``root``: one system call a folder instead of one a file."""
    files: set[str] = set()
    for folder in folders:
        try:
            names = os.listdir(root / folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        files.update(f"{folder}/{name}" if folder else name for name in names)
    return files


def _coverage(here: Counter[str], published: Counter[str]) -> dict[str, Any]:
    """How many of the table's sequences are there, in all and by sign, as plain JSON values."""
    return {
        "metadata": TABLE_NAME,
        "have": here.total(),
        "of": published.total(),
        "glosses": {sign: {"have": here[sign], "of": count} for sign, count in published.items()},
    }


def _clip(row: Row, root: Path, label_map: LabelMap, frame_rate: float) -> Clip:
    for column in ("path", "sign"):
        if not row[column]:
            raise RowError(f"no {column}")
    if row["sign"] not in label_map:
        raise RowError(f"sign {row['sign']!r} is not in {LABELS_NAME}")
    return Clip(
        path=str(root / row["path"]),
        glosses=(row["sign"],),
        media_id=row["path"],
        signer=row["participant_id"],
        # The rate too: a clip that is read at another one is another clip, and is converted again.
        metadata={"sequence_id": row["sequence_id"], "frame_rate": str(frame_rate)},
    )


def read_sequence(clip: Clip, frame_rate: float) -> KeypointRecording:
    """Reads one parquet file.

    The raw video's frame numbers may have gaps: no frame is made up for them, and ``seconds`` tells.

    Args:
        clip: whose path is the file.
        frame_rate: of the raw video, in frames per second.

    Raises:
        ClipError: the file cannot be read, is not of the published form, or holds no keypoint at all.
    """
    columns = _read_columns(clip.path)
    num_rows = len(columns["frame"])
    if not num_rows or num_rows % ROWS_PER_FRAME:
        raise ClipError(clip.path, f"has {num_rows} rows; expected {ROWS_PER_FRAME} for each frame")
    _check_order(clip.path, columns["type"], columns["landmark_index"])
    frames = columns["frame"].reshape(-1, ROWS_PER_FRAME)
    if (frames != frames[:, :1]).any() or (np.diff(frames[:, 0]) <= 0).any():
        raise ClipError(clip.path, f"its frame numbers do not rise by frames of {ROWS_PER_FRAME} rows")
    points = np.stack([columns[axis] for axis in "xyz"], axis=-1).reshape(-1, ROWS_PER_FRAME, 3)
    largest = np.nanmax(np.abs(points), initial=0)
    if largest > LARGEST_COORDINATE:
        raise ClipError(clip.path, f"is damaged: a coordinate of {largest:g} frame widths")
    if not np.isfinite(points).any():
        raise ClipError(clip.path, "every coordinate is missing")
    return KeypointRecording(
        keypoints=holistic_keypoints(len(points), {group: points[:, rows] for group, rows in SLICES.items()}),
        seconds=(frames[:, 0] - frames[0, 0]) / frame_rate,
        frame_rate=frame_rate,
    )


def _read_columns(path: str) -> dict[str, np.ndarray]:
    """Values of each column, float64 with NaN where there is none; of ``type``, places in ``GROUPS`` or -1."""
    import pyarrow
    import pyarrow.parquet

    try:
        # Read as a dictionary, a column of 543 equal texts a frame costs next to nothing. Processes are the
        # parallelism, so no threads.
        with pyarrow.parquet.ParquetFile(path, read_dictionary=["type"]) as file:
            if missing := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise ClipError(path, f"lacks the columns {', '.join(missing)}")
            table = file.read(columns=list(COLUMNS), use_threads=False).unify_dictionaries()
        columns = {name: np.asarray(table[name], np.float64) for name in COLUMNS if name != "type"}
        columns["type"] = _group_numbers(table["type"])
    except FileNotFoundError:
        raise ClipError(path, "no such file") from None
    except KeyError:  # what pyarrow says of a dictionary column that is not there
        raise ClipError(path, "lacks the columns type") from None
    except (OSError, ValueError, TypeError, pyarrow.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise ClipError(path, f"is no parquet file of keypoints ({reason})") from None
    return columns


def _group_numbers(column: Any) -> np.ndarray:
    """Places in ``GROUPS`` of a column's values; -1 of what is none of them."""
    column = column.combine_chunks().dictionary_encode()  # no work where it is one already
    names = column.dictionary.to_pylist()
    numbers = np.array([*(GROUPS.index(name) if name in GROUPS else -1 for name in names), -1])
    return numbers[column.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]


def _check_order(path: str, groups: np.ndarray, points: np.ndarray) -> None:
    """Raises ClipError unless every frame's rows are the published ones in the published order."""
    right = (groups.reshape(-1, ROWS_PER_FRAME) == ROW_GROUPS) & (points.reshape(-1, ROWS_PER_FRAME) == ROW_POINTS)
    if not right.all():
        row = int(np.argmin(right.ravel()))
        expected = _row_name(ROW_GROUPS[row % ROWS_PER_FRAME], ROW_POINTS[row % ROWS_PER_FRAME])
        raise ClipError(path, f"row {row} is {_row_name(groups[row], points[row])}; expected {expected}")


def _row_name(group: int, point: float) -> str:
    return f"{GROUPS[group] if group >= 0 else 'of an unknown type'} {point:g}"
