"""A CSV with one row a clip: the format every other dataset can be brought into."""

import csv
import itertools
import math
from pathlib import Path
from typing import TypeVar

from tfrecords_tools.clips import SPLITS, Clip
from tfrecords_tools.command_line import UserError
from tfrecords_tools.sources.base import Listing, Source
from tfrecords_tools.sources.tables import RowError, clips_of_rows
from tfrecords_tools.video import Span

COLUMNS = (
    "path",
    "gloss",
    "glosses",
    "signer",
    "split",
    "start_seconds",
    "end_seconds",
    "start_frame",
    "end_frame",
    "bbox",
    "gloss_seconds",
)
FILE_NAME, LETTERS_NAME = "manifest.csv", "letters.csv"
Number = TypeVar("Number", int, float)


class Manifest(Source):
    """``manifest.csv`` (or a folder that holds one).

    Columns: ``path`` (relative to the CSV, or absolute) and ``gloss`` (one sign) or ``glosses`` (a sentence,
    separated by spaces); optional ``signer``, ``split`` (train, validation, test), ``start_seconds`` and
    ``end_seconds`` or ``start_frame`` and ``end_frame``, ``bbox`` (``x0 y0 x1 y1`` in pixels), ``gloss_seconds``
    (from when to when each gloss is signed, in seconds of the video: ``0.4-1.1 1.3-2.0``). Other columns are kept
    as metadata. A row that makes no sense is skipped and listed.
    """

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        file = path / FILE_NAME if path.is_dir() else path
        try:
            with file.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream)
                rows = [(reader.line_num, row) for row in reader]
                header = reader.fieldnames or []
        except FileNotFoundError:
            raise UserError(f"{file}: no such manifest") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{file}: is no UTF-8 CSV ({error})") from None
        if "path" not in header or not {"gloss", "glosses"} & set(header):
            raise UserError(f"{file}: needs the columns path and gloss (or glosses), found {', '.join(header)}")
        listing = Listing()
        listing.clips.extend(clips_of_rows(file, rows, lambda row: _clip(row, file.parent), listing.skipped))
        return listing


class Synthetic(Manifest):
    """The output folder of ``python -m tfrecords_tools.synthesize``: clips, or letters where there are none."""

    def list_clips(self, path: Path) -> Listing:
        """See ``Source``."""
        letters = path / LETTERS_NAME
        return super().list_clips(letters if letters.is_file() and not (path / FILE_NAME).is_file() else path)


def _clip(row: dict[str, str | None], root: Path) -> Clip:
    values = {key: (value or "").strip() for key, value in row.items() if key is not None}
    relative = values["path"]
    if not relative:
        raise RowError("no path")
    gloss = values.get("gloss", "")
    glosses = (gloss,) if gloss else tuple(values.get("glosses", "").split())
    if not glosses:
        raise RowError("no gloss")
    split = values.get("split") or None
    if split not in (None, *SPLITS):
        raise RowError(f"split {split!r}; expected {', '.join(SPLITS)} or nothing")
    span, bbox = _span(values), _bbox(values.get("bbox", ""))
    return Clip(
        path=str(root / relative),
        glosses=glosses,
        media_id=_media_id(relative, span, bbox),
        signer=values.get("signer", ""),
        split=split,
        span=span,
        bbox=bbox,
        gloss_seconds=_gloss_seconds(values.get("gloss_seconds", ""), len(glosses)),
        metadata={key: value for key, value in values.items() if key not in COLUMNS and value},
    )


def _media_id(relative: str, span: Span, bbox: tuple[int, int, int, int] | None) -> str:
    """The path, with the part that is meant: one video may hold several clips."""
    parts = [relative]
    if span.start_seconds is not None or span.end_seconds is not None:
        parts.append(f"{_bound(span.start_seconds)}s-{_bound(span.end_seconds)}s")
    if span.start_frame is not None or span.end_frame is not None:
        parts.append(f"{_bound(span.start_frame)}-{_bound(span.end_frame)}")
    if bbox is not None:
        parts.append(",".join(map(str, bbox)))
    return "#".join(parts)


def _bound(value: float | None) -> str:
    return "" if value is None else str(value)


def _span(values: dict[str, str]) -> Span:
    span = Span(
        start_seconds=_number(values, "start_seconds", float),
        end_seconds=_number(values, "end_seconds", float),
        start_frame=_number(values, "start_frame", int),
        end_frame=_number(values, "end_frame", int),
    )
    if span.start_seconds is not None and span.end_seconds is not None and span.start_seconds >= span.end_seconds:
        raise RowError(f"start_seconds {span.start_seconds} is not before end_seconds {span.end_seconds}")
    if span.start_frame is not None and span.end_frame is not None and span.start_frame >= span.end_frame:
        raise RowError(f"start_frame {span.start_frame} is not before end_frame {span.end_frame}")
    return span


def _number(values: dict[str, str], column: str, kind: type[Number]) -> Number | None:
    text = values.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
        number = kind(value)  # spreadsheets write frame 12 as 12.0
    except (ValueError, OverflowError):
        raise RowError(f"{column} {text!r} is no number") from None
    if not 0 <= value < float("inf") or number != value:
        raise RowError(f"{column} {text!r} must be a {'whole ' if kind is int else ''}number from 0 on")
    return number


def _bbox(text: str) -> tuple[int, int, int, int] | None:
    if not text:
        return None
    try:
        x0, y0, x1, y1 = (round(float(part)) for part in text.split())
    except (ValueError, OverflowError):
        raise RowError(f"bbox {text!r}; expected four numbers: x0 y0 x1 y1") from None
    if x0 >= x1 or y0 >= y1:
        raise RowError(f"bbox {text!r} is empty; expected x0 < x1 and y0 < y1")
    return x0, y0, x1, y1


def _gloss_seconds(text: str, num_glosses: int) -> tuple[tuple[float, float], ...]:
    if not text:
        return ()
    try:
        bounds = [tuple(float(bound) for bound in part.split("-")) for part in text.split()]
        spans = tuple((start, end) for start, end in bounds)
    except ValueError:
        raise RowError(
            f"gloss_seconds {text!r}; expected start-end for each gloss, such as 0.4-1.1 1.3-2.0"
        ) from None
    if len(spans) != num_glosses:
        raise RowError(f"gloss_seconds {text!r} has {len(spans)} times, the clip {num_glosses} glosses")
    in_order = [bound for span in spans for bound in span]
    if not all(first <= second for first, second in itertools.pairwise([0.0, *in_order])) or not all(
        start < end < math.inf for start, end in spans
    ):
        raise RowError(f"gloss_seconds {text!r}: each gloss must end after it starts, before the next one starts")
    return spans
