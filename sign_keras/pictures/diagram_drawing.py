"""The diagram of a model as a picture."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from sign_keras.pictures.diagram import Box, Graph, Layout, arrange
from sign_keras.pictures.drawing import BLUE, FAINT, GREEN, INK, QUIET, Picture

BOX_WIDTH, COLUMN, LANE = 2.9, 3.15, 0.3  # inches: a box, a column with boxes, a column with lines alone
LINE, PADDING, GAP = 0.165, 0.07, 0.26
LETTERS = 44  # in a line of a box


def draw_diagram(graph: Graph, name: str) -> Picture:
    """Draws it, from input to logits.

    Args:
        graph: of ``diagram.walk``.
        name: of the model.
    """
    layout = arrange(graph)
    texts = [_lines(box) for box in graph.boxes]
    heights = [2 * PADDING + LINE * len(lines) for lines in texts]
    num_rows = max(layout.rows) + 1
    tallest = [
        max(height for height, row in zip(heights, layout.rows, strict=True) if row == number)
        for number in range(num_rows)
    ]
    tops = [0.0]
    for height in tallest[:-1]:
        tops.append(tops[-1] + height + GAP)
    last = max([*layout.columns, *(column for route in layout.routes for _, column in route)])
    centres = _centres(set(layout.columns), last + 1)
    width = centres[-1] + (BOX_WIDTH / 2 if last in layout.columns else LANE / 2) + 0.1
    total = tops[-1] + tallest[-1] + 0.1

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(total, -0.1))
        axes.axis("off")
        for route in layout.routes:
            (start, column), (end, target) = route[0], route[-1]
            bottom = tops[start] + _height_of(route[0], layout, heights)
            points = [(centres[column], bottom), (centres[column], tops[start] + tallest[start])]
            for row, column in route[1:-1]:
                points += [(centres[column], tops[row] - GAP / 2), (centres[column], tops[row] + tallest[row])]
            points.append((centres[target], tops[end]))
            x, y = zip(*points[:-1], strict=True)
            axes.plot(x, y, color=QUIET, linewidth=1.1, solid_joinstyle="round", zorder=1)
            axes.annotate(
                "",
                points[-1],
                points[-2],
                arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0},
            )
        for box, lines, height, row, column in zip(
            graph.boxes, texts, heights, layout.rows, layout.columns, strict=True
        ):
            colour = GREEN if box.kind == "InputLayer" else BLUE if box.parameters else QUIET
            left, top = centres[column] - BOX_WIDTH / 2, tops[row]
            axes.add_patch(
                FancyBboxPatch(
                    (left + 0.04, top + 0.04),
                    BOX_WIDTH - 0.08,
                    height - 0.08,
                    boxstyle="round,pad=0.04",
                    facecolor="white" if box.is_layer else FAINT,
                    edgecolor=colour,
                    linewidth=1.6 if box.is_layer else 0.6,
                    zorder=2,
                )
            )
            for number, (text, weight, ink) in enumerate(lines):
                middle = top + PADDING + LINE * (number + 0.5)
                axes.text(
                    centres[column],
                    middle,
                    text,
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    weight=weight,
                    color=ink,
                    zorder=3,
                )

    parameters = sum(box.parameters for box in graph.boxes)
    text = (
        f"{name}: {parameters:,} parameters. Each box is a layer, with its output's shape; B is the batch. Blue: "
        "with weights; green: an input; filled: an operation without any."
    )
    return Picture("architecture", "How the model is built", text, draw, total + 0.1, width, adapts=False)


def _lines(box: Box) -> list[tuple[str, str, str]]:
    """(text, weight, colour) of each line in a box."""
    if not box.is_layer:
        return [(f"{box.kind}  {box.shape}", "normal", QUIET)]
    parameters = f", {box.parameters:,} parameters" if box.parameters else ""
    return [
        *((line, "bold", INK) for line in textwrap.wrap(box.title, LETTERS - 6)),
        *((line, "normal", QUIET) for line in textwrap.wrap(f"{box.what}{parameters}", LETTERS)),
        *((line, "normal", QUIET) for line in textwrap.wrap(box.inside, LETTERS)),
        *((line, "normal", INK) for line in textwrap.wrap(box.shape, LETTERS, break_long_words=False)),
    ]


def _centres(with_boxes: set[int], num_columns: int) -> list[float]:
    """Where the middle of each column is; one with lines alone is narrow."""
    found, left = [], 0.0
    for column in range(num_columns):
        width = COLUMN if column in with_boxes else LANE
        found.append(left + width / 2)
        left += width
    return found


def _height_of(place: tuple[int, int], layout: Layout, heights: list[float]) -> float:
    """Of the box that stands at a (row, column)."""
    return heights[list(zip(layout.rows, layout.columns, strict=True)).index(place)]
