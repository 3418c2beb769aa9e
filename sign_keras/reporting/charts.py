"""Pictures of numbers: the confusion matrix as a PNG, and the geometry of what the page draws as SVG."""

import csv
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from sign_keras.config.training import improves_downwards
from sign_keras.run import HISTORY_NAME, Run
from tfrecords_tools.label_map import LabelMap

# Optimal ordering takes cubic time, and beyond that many rows nobody reads names anyway.
MOST_NAMED_GLOSSES = 150
MOST_GLOSSES_WITH_COUNTS = 30


def reading_order(matrix: np.ndarray) -> np.ndarray:
    """Ids of the glosses that occur, so ordered that those mixed up with each other are neighbours.

    Args:
        matrix: ``[V, V]`` counts, right gloss by predicted gloss.

    Returns:
        ``[G]`` integers: ids with clips or predictions; in the label map's order where nothing was mixed up.
    """
    present = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    shares = row_shares(matrix)[np.ix_(present, present)]
    mixed = (shares + shares.T) / 2
    np.fill_diagonal(mixed, 0)
    if len(present) < 3 or not mixed.any():
        return present
    distances = squareform(1 - mixed / mixed.max() + (1 - np.eye(len(present))) * 1e-3, checks=False)
    tree = linkage(distances, "average")
    if len(present) <= MOST_NAMED_GLOSSES:
        tree = optimal_leaf_ordering(tree, distances)
    return np.asarray(present[leaves_list(tree)])


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """``[V, V]`` float64: each count as a share of its row; zeros in rows without clips."""
    return np.asarray(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))


def save_confusion_matrix(path: Path, matrix: np.ndarray, label_map: LabelMap) -> None:
    """Draws the matrix, rows in shares of their gloss; counts are written in where there is room."""
    order = reading_order(matrix)
    shares, counts = row_shares(matrix)[np.ix_(order, order)], matrix[np.ix_(order, order)]
    side = min(20.0, 4 + 0.3 * min(len(order), MOST_NAMED_GLOSSES))
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="signed")
    if len(order) <= MOST_NAMED_GLOSSES:
        names = [label_map.glosses[index] for index in order]
        size = 9 if len(order) <= MOST_GLOSSES_WITH_COUNTS else 7
        axes.set_xticks(range(len(order)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(order)), names, fontsize=size)
        for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
            label.set_parse_math(False)  # a gloss may hold a dollar sign
    if len(order) <= MOST_GLOSSES_WITH_COUNTS:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(image, shrink=0.7, fraction=0.04)
    bar.set_label("share of the clips of a gloss")
    partial = path.with_name(f".{path.name}.partial")
    with warnings.catch_warnings():
        # Glosses in scripts that the font lacks come out as boxes; the page shows them as they are.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(partial, format="png", dpi=110)
    partial.replace(path)


@dataclass(frozen=True)
class Cell:
    """A cell of the page's matrix.

    Attributes:
        row, column: places in the reading order.
        share: of the row's clips.
        count: clips.
    """

    row: int
    column: int
    share: float
    count: int


def confusion_cells(matrix: np.ndarray, order: np.ndarray) -> list[Cell]:
    """The cells that hold clips, in reading order."""
    shares, counts = row_shares(matrix)[np.ix_(order, order)], matrix[np.ix_(order, order)]
    return [
        Cell(int(row), int(column), float(shares[row, column]), int(counts[row, column]))
        for row, column in np.argwhere(counts)
    ]


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, ``train`` or ``validation``, and SVG points in the chart's box."""

    name: str
    kind: str
    points: str


@dataclass(frozen=True)
class Chart:
    """A chart in the box ``WIDTH`` x ``HEIGHT``: x to the right, y down.

    Attributes:
        title: what y is.
        lines: one or two.
        y_ticks: (y, text).
        x_ticks: (x, text).
        marker: x of the epoch whose weights were kept; None where not known.
    """

    title: str
    lines: list[Line]
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]
    marker: float | None


WIDTH, HEIGHT = 340, 170
CURVES = (
    ("Loss", (("training", "train", "loss"), ("validation", "validation", "val_loss")), False),
    ("Clips right", (("training", "train", "top1"), ("validation", "validation", "val_top1")), True),
    ("Word error rate", (("training", "train", "wer"), ("validation", "validation", "val_wer")), False),
    ("Length of the gradient", (("all stages", "train", "gradient_norm"),), False),
    ("Waiting for clips", (("share of training", "train", "input_wait"),), True),
)


def training_part(run: Run | None) -> dict[str, Any]:
    """What pages say of a training: ``curves``, ``chart_size``, ``best_epoch``, ``configuration``."""
    history = read_history(run.directory / HISTORY_NAME) if run else {}
    best = kept_epoch(history, run.config.train.monitor) if run else None
    return {
        "curves": learning_curves(history, best),
        "chart_size": (WIDTH, HEIGHT),
        "best_epoch": None if best is None else f"{history.get('epoch', np.arange(best + 1) + 1)[best]:g}",
        "configuration": run.config.to_yaml() if run else "",
    }


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Columns of a ``history.csv`` as float64, NaN where a value is missing; empty where the file is."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return {}
    return {
        name: np.array([_number(row.get(name)) for row in rows])
        for name in (rows[0] if rows else ())
        if name is not None
    }


def kept_epoch(history: dict[str, np.ndarray], monitor: str) -> int | None:
    """Row of the best epoch by a column of the history; None where it is missing."""
    values = history.get(monitor)
    if values is None or not np.isfinite(values).any():
        return None
    return int(np.nanargmin(values) if improves_downwards(monitor) else np.nanargmax(values))


def learning_curves(history: dict[str, np.ndarray], best: int | None) -> list[Chart]:
    """Charts of losses, scores, gradient and waiting; only those that the history holds at least two epochs of."""
    charts = []
    for title, columns, is_share in CURVES:
        found = [(name, kind, history[key]) for name, kind, key in columns if key in history]
        values = [column[np.isfinite(column)] for _, _, column in found]
        if not any(len(column) > 1 for column in values):
            continue
        num_epochs = len(found[0][2])
        epochs = history.get("epoch", np.arange(1.0, num_epochs + 1))
        top = 1.0 if is_share else float(np.concatenate(values).max()) or 1.0
        ticks = np.linspace(0, 1, 5) if is_share else _ticks(top)
        top = float(max(top, ticks[-1]))

        def x(row: int, last: int = num_epochs - 1) -> float:
            return round(WIDTH * row / last, 1)

        def y(value: float, top: float = top) -> float:
            return round(HEIGHT * (1 - value / top), 1)

        lines = [
            Line(name, kind, " ".join(f"{x(i)},{y(v)}" for i, v in enumerate(column) if np.isfinite(v)))
            for name, kind, column in found
        ]
        rows = sorted({round(share * (num_epochs - 1)) for share in (0, 0.25, 0.5, 0.75, 1)})
        charts.append(
            Chart(
                title,
                lines,
                [(y(tick), f"{100 * tick:.0f}\N{NO-BREAK SPACE}%" if is_share else f"{tick:g}") for tick in ticks],
                [(x(row), f"{epochs[row]:g}") for row in rows],
                None if best is None else x(best),
            )
        )
    return charts


def _ticks(top: float) -> Sequence[float]:
    """Three to six round numbers from 0 to at least ``top``."""
    step = 10 ** math.floor(math.log10(top))
    for divisor in (1, 2, 5, 10):
        count = math.ceil(top / (step / divisor))
        if count >= 3:
            return [round(index * step / divisor, 10) for index in range(count + 1)]
    return [0, top]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
