"""Distributions as bars, each of which names the filter that lists the clips behind it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
from matplotlib.ticker import MaxNLocator

MOST_BINS = 18
MOST_KINDS = 8
OTHER = "other"


@dataclass(frozen=True)
class Bar:
    """A bar of a chart.

    Attributes:
        label: what it counts, in words.
        count: clips.
        share: of the highest bar.
        link: the page's address of the clips behind it.
    """

    label: str
    count: int
    share: float
    link: str


@dataclass(frozen=True)
class Histogram:
    """How a number is spread over clips.

    Attributes:
        title: what is counted, with its unit.
        note: what to make of it.
        bars: from left to right, all of one width.
        low, high: where the first bar starts and the last ends, in words.
        middle: the median, in words.
    """

    title: str
    note: str
    bars: list[Bar]
    low: str
    high: str
    middle: str


def link(**filters: object) -> str:
    """The address within the page of the clips that a filter lets through, e.g. ``#gloss=hello&split=test``."""
    return "#" + urlencode({key: str(value) for key, value in filters.items()})


def histogram(title: str, key: str, values: Sequence[float], note: str = "") -> Histogram | None:
    """Counts of a number in bins with round bounds; None where no value is known.

    Args:
        title: see ``Histogram``.
        key: of the page's table, by which clips are filtered.
        values: of the clips, as the table holds them; NaN where not known.
        note: see ``Histogram``.
    """
    found = np.array(values, float)
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    edges = _edges(float(found.min()), float(found.max()))
    counts = np.histogram(found, edges)[0]
    # Half open, as the table filters: np.histogram closes the last bin, which _edges keeps above all values.
    bars = [
        Bar(
            f"{low:.10g} to {high:.10g}",
            int(count),
            float(count / counts.max()),
            link(**{key: f"{low:.10g}..{high:.10g}"}),
        )
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return Histogram(title, note, bars, f"{edges[0]:g}", f"{edges[-1]:g}", f"{np.median(found):.3g}")


def kinds(key: str, values: Sequence[str]) -> list[Bar]:
    """Counts of each kind, the most frequent first; the rest, if many, as one."""
    counts = Counter(value for value in values if value)
    if len(counts) > MOST_KINDS:
        kept = counts.most_common(MOST_KINDS - 1)
        counts = Counter({**dict(kept), OTHER: sum(counts.values()) - sum(count for _, count in kept)})
    most = max(counts.values(), default=1)
    return [Bar(name, count, count / most, link(**{key: name})) for name, count in counts.most_common()]


def _edges(low: float, high: float) -> np.ndarray:
    """Round bounds of bins, the first at or below ``low`` and the last above ``high``."""
    if high - low <= 1e-4 * max(1.0, abs(high)):  # all alike: one bin
        first = np.floor(low * 100) / 100
        return np.array([first, first + max(1.0, np.ceil(abs(high) * 1e-3))])
    ticks = MaxNLocator(nbins=MOST_BINS, steps=[1, 2, 5, 10]).tick_values(low, high)
    step = ticks[1] - ticks[0]
    # As links write them, so that a bar and its link mean the same clips.
    edges = np.unique(np.round([*ticks, ticks[-1] + step], 6))
    last = int(np.searchsorted(edges, high, side="right"))
    first = int(np.searchsorted(edges, low, side="right")) - 1
    return edges[first : last + 1]
