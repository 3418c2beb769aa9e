"""Reading a dataset's table: rows of text with the number of their line, and the clips that they are."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tfrecords_tools.clips import Clip, SkippedPath
from tfrecords_tools.command_line import UserError

# Values by column; empty where a line has another number of values than the header.
Row = dict[str, str]
AnyRow = TypeVar("AnyRow")


class RowError(Exception):
    """A row that cannot be a clip."""


@dataclass(frozen=True)
class Table:
    """A table with a header.

    Attributes:
        file: where it was read.
        header: names of the columns.
        rows: (line number, row).
    """

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]


def read_table(file: Path, columns: Sequence[str], delimiter: str = ",", quoted: bool = True) -> Table:
    """Reads a UTF-8 table whose first line is its header; blank lines are left out.

    Args:
        file: to read.
        columns: that it must have.
        delimiter: between two values.
        quoted: whether values may stand in double quotes.

    Raises:
        UserError: the file is missing, is no such table, or lacks a column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(
                stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
            )
            header = tuple(name.strip() for name in next(reader, []))
            lines = [(reader.line_num, values) for values in reader if values]
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: is no UTF-8 table ({error})") from None
    if lacking := [name for name in columns if name not in header]:
        raise UserError(f"{file}: has no column {', '.join(lacking)}; found {', '.join(header) or 'nothing'}")
    rows = tuple(
        (number, dict(zip(header, map(str.strip, values), strict=True)) if len(values) == len(header) else {})
        for number, values in lines
    )
    return Table(file, header, rows)


def clips_of_rows(
    file: Path,
    rows: Iterable[tuple[int, AnyRow]],
    clip_of: Callable[[AnyRow], Clip],
    skipped: list[SkippedPath],
    what: str = "clip",
) -> Iterator[Clip]:
    """The clips of a table's rows, each once.

    Args:
        file: the table.
        rows: (line number, row).
        clip_of: makes a row a clip, or raises ``RowError``.
        skipped: gets the rows that are no clip, or the same one as a row before.
        what: the dataset calls a clip.
    """
    lines: dict[str, int] = {}
    for number, row in rows:
        try:
            if not row:
                raise RowError("has another number of values than the header")
            clip = clip_of(row)
            if clip.media_id in lines:
                raise RowError(f"the same {what} as in line {lines[clip.media_id]}")
        except RowError as error:
            skipped.append(SkippedPath(f"{file}:{number}", str(error)))
        else:
            lines[clip.media_id] = number
            yield clip
