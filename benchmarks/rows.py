"""Figures of a benchmark's quick form: this project beside a reference, turn by turn; standard library alone.

Every benchmark that ``run_all.py`` runs has a function ``quick(data) -> list[Row]``; ``data`` is the folder in
which ``sample_data.py`` keeps what several of them need.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal


class LeftOutError(Exception):
    """A benchmark cannot run here, and is not at fault; says what it lacks."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: was measured, of this project.
        reference: what it is compared with, in the same run.
        ours: a figure for each turn.
        theirs: likewise, in the same order; a single one, a goal or a whole, goes with every turn.
        unit: of both.
        better: which ratio is.
    """

    what: str
    reference: str
    ours: list[float]
    theirs: list[float]
    unit: str
    better: Literal["lower", "higher"] = "lower"

    def ratio(self) -> float:
        """Ours to theirs, of the medians: below 1 this project takes less."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    def spread(self) -> tuple[float, float]:
        """Lowest and highest ratio of the turns."""
        theirs = self.theirs * len(self.ours) if len(self.theirs) == 1 else self.theirs
        ratios = [one / other for one, other in zip(self.ours, theirs, strict=True)]
        return min(ratios), max(ratios)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ratio and spread among them for those who read the file without this class."""
        return vars(self) | {"ratio": self.ratio(), "spread": list(self.spread())}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Row":
        """The row that ``to_json`` wrote down."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


def from_rates(rates: list[float]) -> list[float]:
    """Seconds of one, of so many a second."""
    return [1 / rate for rate in rates]


# Ratios of a few turns differ by so much from one run to the next, whatever their spread was.
LEAST_CHANGE = 0.05


def change_for_the_worse(now: Row, former: Row) -> float | None:
    """By what share of the former ratio a row got worse; None where that is within the spread of either."""
    change = now.ratio() - former.ratio()
    if now.better == "higher":
        change = -change
    widest = max(high - low for low, high in (now.spread(), former.spread()))
    if change <= max(widest, LEAST_CHANGE * former.ratio()):
        return None
    return change / former.ratio()


def worse_rows(now: dict[str, Any], former: dict[str, Any]) -> Iterator[str]:
    """A line for each row that got worse since a former run.

    Args:
        now: what ``run_all.py`` writes as JSON.
        former: likewise.
    """
    before = {
        (name, row["what"], row["reference"]): Row.from_json(row)
        for name, benchmark in former["benchmarks"].items()
        for row in benchmark["rows"]
    }
    for name, benchmark in now["benchmarks"].items():
        for row in map(Row.from_json, benchmark["rows"]):
            other = before.get((name, row.what, row.reference))
            change = None if other is None else change_for_the_worse(row, other)
            if other is not None and change is not None:
                yield (
                    f"{name}: {row.what}: {row.ratio():.3g} of {row.reference}, {other.ratio():.3g} on "
                    f"{former['date']}: {change:.0%} worse"
                )
