"""How a run learnt: losses, scores, loss weights and learning rates by epoch, out of ``history.csv``."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from sign_keras.pictures.drawing import LINE_COLOURS, LINE_STYLES, QUIET, Picture

WIDTH, HEIGHT = 4.5, 2.9
NAMES = {
    "top1": "Clips right",
    "top5": "Right among the first five",
    "wer": "Word error rate",
    "loss": "Loss",
    "input_wait": "Share of training spent waiting for clips",
}
VALIDATION, RATE, WEIGHT, NORM = "val_", "learning_rate", "weight_", "gradient_norm"
MANY_TIMES = 30  # from the least to the largest, for an axis of orders of magnitude
NOT_SHOWN = ("epoch", "seconds")


@dataclass(frozen=True)
class Curves:
    """Lines that belong into one chart.

    Attributes:
        name: of its file.
        title: for people.
        lines: values by epoch of each line, by what the line is; NaN where an epoch has none.
        logarithmic: whether the values' orders of magnitude are what matters.
    """

    name: str
    title: str
    lines: dict[str, np.ndarray]
    logarithmic: bool = False


def group_history(history: Mapping[str, np.ndarray]) -> list[Curves]:
    """What of a history belongs together: each score with that of validation, stages' losses, weights, rates.

    Args:
        history: columns of ``history.csv``. ``loss_NAME`` are losses of stages, ``weight_NAME`` what they are
            multiplied by, ``learning_rate_NAME`` stages' learning rates, ``gradient_norm_NAME`` lengths of their
            gradients; any other column is a score.

    Returns:
        Those with numbers, the whole loss first.
    """
    shown = {
        name: values for name, values in history.items() if np.isfinite(values).any() and name not in NOT_SHOWN
    }
    rates = {_stage(name, RATE) or "all others": shown.pop(name) for name in list(shown) if name.startswith(RATE)}
    norms = {_stage(name, NORM) or "all stages": shown.pop(name) for name in list(shown) if name.startswith(NORM)}
    weights = {_stage(name, WEIGHT): shown.pop(name) for name in list(shown) if name.startswith(WEIGHT)}
    stages = {
        _loss_name(name): shown.pop(name)
        for name in list(shown)
        if name.removeprefix(VALIDATION) != "loss" and "loss" in name.removeprefix(VALIDATION).split("_")
    }
    scores = dict.fromkeys(name.removeprefix(VALIDATION) for name in shown)
    found = []
    for score in sorted(scores, key=lambda name: name != "loss"):
        parts = (("training", score), ("validation", VALIDATION + score))
        lines = {part: shown[column] for part, column in parts if column in shown}
        found.append(Curves(f"learning_{score}", NAMES.get(score, score), lines))
    if stages:
        found.insert(1, Curves("learning_stage_losses", "Losses of the stages", stages))
    if weights:
        found.append(Curves("learning_loss_weights", "What losses are multiplied by", weights))
    if norms:
        found.append(Curves("learning_gradients", "Lengths of gradients", norms, logarithmic=True))
    if rates:
        lines = {"all stages": rates["all others"]} if list(rates) == ["all others"] else rates
        found.append(Curves("learning_rates", "Learning rates", lines, logarithmic=True))
    return found


def _stage(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).strip("_").replace("_", " ")


def _loss_name(column: str) -> str:
    name = column.removeprefix(VALIDATION)
    name = " ".join(part for part in name.split("_") if part != "loss")
    return f"{name}, validation" if column.startswith(VALIDATION) else name


def draw_curves(curves: Curves, epochs: np.ndarray, kept: int | None) -> Picture:
    """A chart by epoch.

    Args:
        curves: its lines.
        epochs: ``[E]`` numbers of the epochs.
        kept: place of the epoch whose weights were kept; None where not known.
    """

    def draw(figure: Figure) -> Axes:
        axes = figure.subplots()
        for place, (name, values) in enumerate(curves.lines.items()):
            colour = LINE_COLOURS[place % len(LINE_COLOURS)]
            style = LINE_STYLES[place // len(LINE_COLOURS) % len(LINE_STYLES)]
            marker = "o" if np.isfinite(values).sum() == 1 else ""
            axes.plot(epochs, values, color=colour, linestyle=style, marker=marker, linewidth=1.7, label=name)
        if kept is not None:
            axes.axvline(epochs[kept], color=QUIET, linewidth=1, linestyle=":", label="kept")
        everything = np.concatenate(list(curves.lines.values()))
        low, high = np.nanmin(everything), np.nanmax(everything)
        if curves.logarithmic and high > MANY_TIMES * low > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")  # the default is mathematics, which texts here are not
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif low >= 0:
            axes.set_ylim(bottom=0)
        first, last = float(epochs[0]), float(epochs[-1])
        pad = max((last - first) * 0.02, 0.5 if first == last else 0)
        axes.set(xlim=(first - pad, last + pad), xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=3)
        return axes

    ends = ", ".join(f"{name} {values[np.isfinite(values)][-1]:.4g}" for name, values in curves.lines.items())
    return Picture(curves.name, curves.title, f"At the end: {ends}.", draw, HEIGHT, WIDTH, adapts=False)
