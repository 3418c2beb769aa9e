"""Examples are scripts and not installed: tests find them from the repository's root, however pytest is called."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tfrecords_tools.array_records import ArrayClip
from tfrecords_tools.clips import SkippedPath
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.schema import decode_record
from tfrecords_tools.shards import find_shards, read_shard

sys.path.append(str(REPOSITORY))


def write_table(file: Path, header: str, rows: Iterable[Iterable[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def parted(found: Iterator[ArrayClip | SkippedPath]) -> tuple[list[ArrayClip], list[SkippedPath]]:
    """The clips, and what could not be read."""
    items = list(found)
    return (
        [item for item in items if isinstance(item, ArrayClip)],
        [item for item in items if isinstance(item, SkippedPath)],
    )


def read_records(output: Path) -> dict[str, dict]:
    """Every record by its media id, with its ``split``."""
    info = DatasetInfo.load(output)
    return {
        record["media_id"]: record | {"split": split}
        for split, part in info.splits.items()
        if part.clips
        for shard in find_shards(output, info, split)
        for record in (decode_record(serialized, info.layout) for serialized in read_shard(shard))
    }


@pytest.fixture
def assert_refuses(tmp_path: Path, run_main: Callable[..., tuple[int, str, str]]) -> Callable[..., None]:
    """``assert_refuses(main, folder, message, *arguments)``: status 2, one line, and nothing is written."""

    def check(main: Callable[[], int], folder: Path, message: str, *arguments: object) -> None:
        output = tmp_path / "records"
        status, _, err = run_main(main, "--input", folder, "--output", output, "--workers", 1, *arguments)
        assert status == 2
        assert message in err
        assert err.count("\n") == 1
        assert not output.exists()

    return check
