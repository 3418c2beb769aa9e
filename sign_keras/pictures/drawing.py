"""How every picture is drawn, and what becomes of it: a PNG file, and the same as SVG for the page."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito 2008, https://jfly.uni-koeln.de/color: colours that people tell apart whatever their colour vision.
BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
)
LINE_COLOURS = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)  # yellow lines do not show on white
LINE_STYLES = ("-", "--", "-.", ":")  # with every round of the colours the next
INK, QUIET, FAINT = "#1f2328", "#656a72", "#d5d3cc"
NOTHING = "-"  # in the place of a value that is not there
WIDE, NARROW = 9.2, 4.0  # inches: a page's column, a phone's
DOTS_PER_INCH = 130

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: glosses of all scripts show, and can be searched for
    "text.color": INK,
    "text.parse_math": False,  # a gloss may hold a dollar sign
    "xtick.color": QUIET,
    "xtick.labelsize": 8.5,
    "ytick.color": QUIET,
    "ytick.labelsize": 8.5,
}


@dataclass(frozen=True)
class Picture:
    """A picture that can be drawn at any width.

    Attributes:
        name: of its file, without suffix.
        title: for people.
        text: what it shows, for people who do not see it, and below it.
        draw: draws into an empty figure; returns the axes that a slider moves along, None where there are none.
        height: in inches.
        width: in inches, of the file.
        adapts: whether a narrow form of it makes sense.
        narrow_height: of that, where it is not as high as the wide one.
    """

    name: str
    title: str
    text: str
    draw: Callable[[Figure], Axes | None]
    height: float
    width: float = WIDE
    adapts: bool = True
    narrow_height: float | None = None


@dataclass(frozen=True)
class Plot:
    """A picture as the page has it.

    Attributes:
        svg: the element's text; loads nothing, its ids are its own.
        span: where the axes begin and end, as shares of the width; None where no slider moves along them.
        limits: what stands at both ends.
        width: in CSS pixels.
    """

    svg: str
    span: tuple[float, float] | None
    limits: tuple[float, float] | None
    width: int


def save_png(picture: Picture, path: Path) -> None:
    """Writes a picture's file, under a temporary name until whole."""
    with _drawn(picture, picture.width, titled=True) as (figure, _):
        partial = path.with_name(f".{path.name}.partial")
        figure.savefig(partial, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    partial.replace(path)


def as_image(picture: Picture) -> np.ndarray:
    """A picture as ``[H, W, 3]`` uint8, at the size of its file."""
    with _drawn(picture, picture.width, titled=True) as (figure, _):
        figure.set_dpi(DOTS_PER_INCH)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def as_plot(picture: Picture, width: float, key: str) -> Plot:
    """A picture for the page.

    Args:
        picture: to draw.
        width: in inches.
        key: another one for each element of a page: ids are made of it.
    """
    text = io.StringIO()
    with _drawn(picture, width, key) as (figure, axes):
        figure.savefig(text, format="svg", metadata={"Date": None})
        box = None if axes is None else axes.get_position()
        limits = None if axes is None else axes.get_xlim()
    return Plot(
        _inline(text.getvalue()),
        None if box is None else (float(box.x0), float(box.x1)),
        None if limits is None else (float(limits[0]), float(limits[1])),
        round(width * 96),
    )


@contextmanager
def _drawn(
    picture: Picture, width: float, key: str = "", titled: bool = False
) -> Iterator[tuple[Figure, Axes | None]]:
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": key}), warnings.catch_warnings():
        # Glosses in scripts that the font lacks come out as boxes in PNG; the page shows them as they are.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        height = picture.narrow_height if width == NARROW and picture.adapts else None
        figure = Figure(figsize=(width, height or picture.height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = picture.draw(figure)
        if titled and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            figure.suptitle(picture.title, x=0.01, ha="left", fontsize=10.5, weight="bold")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it is known now, and would only be found again
        yield figure, axes


def _inline(svg: str) -> str:
    """Without what belongs to a file of its own: declarations, metadata, names of namespaces, a fixed size."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # every picture has the same ones, and nothing asks for them
    opening, rest = svg.split(">", 1)
    opening = re.sub(r' (xmlns(:\w+)?|width|height|version)="[^"]*"', "", opening)
    return f"{opening}>{rest}".strip()
