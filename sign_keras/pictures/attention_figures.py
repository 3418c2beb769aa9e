"""The pictures of a clip's attention: between frames, over time, and of glosses."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sign_keras.pictures.attention import AttentionMap
from sign_keras.pictures.clips import ShownClip
from sign_keras.pictures.drawing import BLUE, NARROW, Picture

MOST_MAPS_IN_ROW = 3


def frame_attention(clip: ShownClip, glosses: Sequence[str], weights: np.ndarray) -> Picture:
    """Where a model that aligns frames with glosses finds each gloss that it reads: ``weights [glosses, n]``."""

    def draw(figure: Figure) -> Axes:
        axes = figure.subplots()
        extent = (clip.edges[0], clip.edges[-1], len(glosses) - 0.5, -0.5)
        image = axes.imshow(weights, aspect="auto", cmap="cividis", vmin=0, extent=extent, interpolation="nearest")
        axes.set_yticks(range(len(glosses)), glosses)
        axes.set(xlabel="seconds")
        figure.colorbar(image, ax=axes, label="share of a gloss", pad=0.01)
        return axes

    middles = (clip.edges[:-1] + clip.edges[1:]) / 2
    peaks = ", ".join(
        f"{gloss} at {middles[int(row.argmax())]:.2f} s" for gloss, row in zip(glosses, weights, strict=True)
    )
    return Picture(
        "gloss_attention",
        "Which frames look like which gloss",
        f"Largest: {peaks}.",
        draw,
        1.2 + 0.28 * len(glosses),
    )


def attention(clip: ShownClip, maps: Sequence[AttentionMap]) -> list[Picture]:
    """Attention between frames, all layers in one picture; and what attention pooling weighs, over time."""
    square = [found for found in maps if found.weights.ndim == 2]
    pictures = [_pooling(clip, found) for found in maps if found.weights.ndim == 1]
    if not square:
        return pictures

    def draw(figure: Figure) -> None:
        columns = min(len(square), MOST_MAPS_IN_ROW if figure.get_figwidth() > NARROW else 1)
        rows = -(-len(square) // columns)
        all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
        extent = (clip.edges[0], clip.edges[-1], clip.edges[-1], clip.edges[0])
        for axes, found in zip(all_axes, square, strict=False):
            image = axes.imshow(found.weights, cmap="cividis", vmin=0, extent=extent, interpolation="nearest")
            axes.set_title(found.layer)
            axes.set(xlabel="looks at (seconds)", ylabel="from (seconds)")
            figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
        for axes in all_axes[len(square) :]:
            axes.set_visible(False)

    text = "A row is a moment, and shows which moments it looks at; the mean over heads."
    rows = -(-len(square) // min(len(square), MOST_MAPS_IN_ROW))
    wide = Picture(
        "attention", "What frames look at", text, draw, 0.4 + 2.7 * rows, narrow_height=0.3 + 3.2 * len(square)
    )
    return [wide, *pictures]


def _pooling(clip: ShownClip, found: AttentionMap) -> Picture:
    edges = np.linspace(clip.edges[0], clip.edges[-1], len(found.weights) + 1)

    def draw(figure: Figure) -> Axes:
        axes = figure.subplots()
        axes.stairs(found.weights, edges, fill=True, color=BLUE, alpha=0.35)
        axes.stairs(found.weights, edges, color=BLUE, linewidth=1.5)
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, None), xlabel="seconds", ylabel="weight")
        return axes

    middle = (edges[:-1] + edges[1:])[int(found.weights.argmax())] / 2
    return Picture(
        found.layer, "How much each moment counts", f"The weight is largest at {middle:.2f} s.", draw, 2.0
    )
