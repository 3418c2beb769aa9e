"""Reading a dataset's table: rows of text with the number of their line."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords_tools.command_line import UserError

# Values by column; empty where a line has another number of values than the header.
Row = dict[str, str]


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
