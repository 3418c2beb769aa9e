"""What several runs said of the same clips, out of their ``predictions.csv``."""

from collections.abc import Sequence
from pathlib import Path

from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.tables import Row, read_table

FILE_NAME = "predictions.csv"


def answers_by_clip(runs: Sequence[Path], same: Sequence[str], answer: Sequence[str]) -> dict[str, list[Row]]:
    """The rows of each clip, one for each run that tested it; clips sorted by media id.

    Runs that tested different clips (folds) are put together; where several runs tested the same clip (seeds), it
    has several rows.

    Args:
        runs: their directories.
        same: columns in which all rows of a clip are alike, beside ``media_id``.
        answer: the other columns that are wanted.

    Raises:
        UserError: a table is missing or lacks a column, or two disagree about a clip.
    """
    rows: dict[str, list[Row]] = {}
    for run in runs:
        table = read_table(run / FILE_NAME, ("media_id", *same, *answer))
        for number, row in table.rows:
            others = rows.setdefault(row.get("media_id", ""), [])
            if not row or any(row[key] != others[0][key] for key in same if others):
                raise UserError(f"{table.file}:{number}: is no row, or is of another {' or '.join(same)} elsewhere")
            others.append(row)
    return dict(sorted(rows.items()))
