"""Shard files: an atomic writer, and a check that reads no payload.

A shard carries its final name only when it is whole.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from tfrecords_tools import tfrecord
from tfrecords_tools.command_line import UserError, writing
from tfrecords_tools.dataset_info import SCHEMA_VERSION, SHARD_PATTERN, DatasetError, DatasetInfo


class ShardWriter:
    """Writes one shard under a temporary name; leaving the context without an error renames it.

    Raises:
        UserError: the disk is full, or the file cannot be written for another reason; nothing is left of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        with writing(path):
            self._file = self._partial.open("wb")
        self.count = 0

    def write(self, record: bytes) -> None:
        """Appends a serialised record."""
        with writing(self._path):
            tfrecord.write_record(self._file, record)
        self.count += 1

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is not None:
            self._discard()
            return
        try:
            with writing(self._path):
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._partial.replace(self._path)
        except UserError:
            self._discard()
            raise

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()  # tries once more to write what there was no room for
        with contextlib.suppress(OSError):
            self._partial.unlink()


def count_records(path: Path) -> int:
    """Number of records in a shard, read from its headers alone.

    Raises:
        DatasetError: the file is missing, damaged, or ends within a record.
    """
    with _named_errors(path):
        return tfrecord.count_records(path)


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
        DatasetError: the file is missing, damaged, or ends within a record.
    """
    with _named_errors(path):
        yield from tfrecord.read_records(path)


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DatasetError(f"{path}: shard is missing; run convert again") from None
    except tfrecord.TFRecordError as error:
        raise DatasetError(f"{path}: {error}; delete it and run convert again") from None
