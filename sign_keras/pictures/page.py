"""``pictures.html``: all pictures of a run in one file, with a slider over frames and one over epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sign_keras.pictures.diagram import Graph
from sign_keras.pictures.drawing import NARROW, Picture, Plot, as_plot
from sign_keras.pictures.explanation import Explanation
from sign_keras.pictures.reading import SentenceReading
from sign_keras.pictures.tiles import Sheet, make_sheet
from sign_keras.reporting.templates import render

TEMPLATE_NAME = "pictures.html.j2"
SHEET_BYTES = 2_100_000  # of all clips' frames together; in a page they take a third more


@dataclass(frozen=True)
class Shown:
    """A picture in the page.

    Attributes:
        picture: what it is.
        wide: for a large window.
        narrow: for a phone; None where the wide one does.
    """

    picture: Picture
    wide: Plot
    narrow: Plot | None


@dataclass(frozen=True)
class Player:
    """A slider, and what follows it.

    Attributes:
        label: what the slider goes over.
        names: what stands beside it at each place.
        places: where each place is on the x axis of plots.
        readout: values at each place, by name.
        shown: plots.
        start: where the slider stands at first.
        sheet: frames with what speaks for the answer; None where there are none.
        plain: the same frames as they are; None where there are no such.
    """

    label: str
    names: list[str]
    places: list[float]
    readout: dict[str, list[str]]
    shown: list[Shown]
    start: int = 0
    sheet: Sheet | None = None
    plain: Sheet | None = None

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script needs, as JSON values; columns in the order of ``readout``."""
        return {
            "names": self.names,
            "places": self.places,
            "columns": list(self.readout.values()),
            "start": self.start,
        }


def render_page(
    name: str,
    explanations: Sequence[Explanation],
    learning: Sequence[Picture],
    epochs: Player | None,
    diagram: Picture,
    graph: Graph,
    configuration: str,
) -> str:
    """The page's text.

    Args:
        name: of the run.
        explanations: of its clips.
        learning: charts by epoch.
        epochs: their slider, without plots; None where there is no history.
        diagram: of the architecture.
        graph: what it draws.
        configuration: the run's, as YAML.
    """
    sheets = sum(1 if found.frames is None else 2 for found in explanations)
    clips = [
        {"found": found, "verdict": verdict(found), "player": _player(found, number, SHEET_BYTES // max(sheets, 1))}
        for number, found in enumerate(explanations, start=1)
    ]
    return render(
        TEMPLATE_NAME,
        name=name,
        clips=clips,
        learning=[Shown(picture, as_plot(picture, picture.width, picture.name), None) for picture in learning],
        epochs=epochs,
        diagram=Shown(diagram, as_plot(diagram, diagram.width, diagram.name), None),
        graph=graph,
        configuration=configuration,
    )


def verdict(found: Explanation) -> dict[str, str]:
    """``said`` and ``signed`` as text, and ``outcome``: ``right``, ``wrong``, or empty where nobody knows."""
    reading = found.reading
    if isinstance(reading, SentenceReading):
        said = " ".join(item.gloss for item in reading.read) or "nothing"
    else:
        said = f"{reading.answer}, {reading.probabilities.max():.1%}"
        said += "" if reading.accepted else " (counts as no sign)"
    signed = "" if found.clip.glosses is None else " ".join(found.clip.glosses) or "nothing"
    return {"said": said, "signed": signed, "outcome": {True: "right", False: "wrong", None: ""}[reading.right]}


def _player(found: Explanation, number: int, most_bytes: int) -> Player:
    clip = found.clip
    middles = (clip.edges[:-1] + clip.edges[1:]) / 2
    return Player(
        label="frame",
        names=[
            f"frame {place + 1} of {clip.num_frames}, {start:.2f} s" for place, start in enumerate(clip.edges[:-1])
        ],
        places=np.round(middles, 4).tolist(),
        readout=found.readout,
        shown=[
            _shown(picture, f"clip{number}-{picture.name}")
            for picture in found.pictures
            if picture.name != "frames"
        ],
        start=found.start,
        sheet=make_sheet(found.tiles, most_bytes),
        plain=None if found.frames is None or found.frames is found.tiles else make_sheet(found.frames, most_bytes),
    )


def _shown(picture: Picture, key: str) -> Shown:
    narrow = as_plot(picture, NARROW, f"{key}-narrow") if picture.adapts else None
    return Shown(picture, as_plot(picture, picture.width, key), narrow)
