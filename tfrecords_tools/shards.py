"""Shard files: an atomic writer, and a check that reads no payload.

A shard carries its final name only when it is whole.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import tensorflow as tf

from tfrecords_tools.dataset_info import SCHEMA_VERSION, SHARD_PATTERN, DatasetError, DatasetInfo

# TFRecord framing: length (uint64), its CRC (uint32), payload, its CRC (uint32).
HEADER_BYTES, FOOTER_BYTES = 12, 4


class ShardWriter:
    """Writes one shard under a temporary name; leaving the context without an error renames it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._writer = tf.io.TFRecordWriter(str(self._partial))
        self.count = 0

    def write(self, record: bytes) -> None:
        """Appends a serialised record."""
        self._writer.write(record)
        self.count += 1

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()
        if error_type is None:
            with self._partial.open("rb") as file:
                os.fsync(file.fileno())
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


def count_records(path: Path) -> int:
    """Number of records in a shard, found by hopping from header to header without reading payloads.

    Raises:
        DatasetError: the file is missing, or ends within a record.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            count, position = 0, 0
            while position < size:
                header = file.read(HEADER_BYTES)
                if len(header) == HEADER_BYTES:
                    position += HEADER_BYTES + struct.unpack("<Q", header[:8])[0] + FOOTER_BYTES
                if len(header) < HEADER_BYTES or position > size:
                    raise DatasetError(f"{path}: is cut off within record {count}; delete it and run convert again")
                count += 1
                file.seek(position)
    except FileNotFoundError:
        raise DatasetError(f"{path}: shard is missing; run convert again") from None
    return count


def find_shards(directory: Path, info: DatasetInfo, split: str) -> list[Path]:
    """The shards of a split, each checked to be whole.

    Raises:
        DatasetError: records of another schema version, no clips in the split, or a shard that is missing,
            cut off, or holds another number of records than ``dataset_info.json`` says.
    """
    if info.schema_version != SCHEMA_VERSION:
        raise DatasetError(
            f"{directory}: records of schema version {info.schema_version}, this version reads "
            f"{SCHEMA_VERSION}; convert the videos again"
        )
    shards = []
    for name, promised in sorted(info.shards.items()):
        match = SHARD_PATTERN.fullmatch(name)
        if match and match["split"] == split and promised:
            found = count_records(directory / name)
            if found != promised:
                raise DatasetError(f"{directory / name}: holds {found} records, dataset_info.json says {promised}")
            shards.append(directory / name)
    if not shards:
        filled = [f"{name} ({part.clips} clips)" for name, part in info.splits.items() if part.clips]
        raise DatasetError(f"{directory}: split {split!r} is empty; it holds {', '.join(filled) or 'no clips'}")
    return shards


def read_shard(path: Path) -> Iterator[bytes]:
    """Serialised records of one shard, in order.

    Raises:
        DatasetError: the file is damaged or cut off.
    """
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    number = 0
    while True:
        try:
            record = next(records)
        except StopIteration:
            count_records(path)  # a cut within a header would else pass for the end
            return
        except tf.errors.OpError:
            raise DatasetError(f"{path}: record {number} is damaged; delete it and run convert again") from None
        yield record
        number += 1
