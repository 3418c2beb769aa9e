"""A run's pictures as files: PNG for documents, one page for looking."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.pictures.clips import ShownClip
from sign_keras.pictures.curves import draw_curves, group_history
from sign_keras.pictures.diagram import walk
from sign_keras.pictures.diagram_drawing import draw_diagram
from sign_keras.pictures.drawing import NOTHING, Picture, save_png
from sign_keras.pictures.explanation import Explanation, explain
from sign_keras.pictures.page import Player, render_page
from sign_keras.reporting.charts import kept_epoch, read_history
from sign_keras.run import HISTORY_NAME, Run
from tfrecords_tools.command_line import writing
from tfrecords_tools.journal import write_atomically

PAGE_NAME = "pictures.html"
MOST_LETTERS = 60  # of a clip's name in that of its folder


def write_pictures(output: Path, artefact: RunArtefact, run: Run, clips: Sequence[ShownClip]) -> list[Explanation]:
    """Explains clips; writes ``pictures.html``, ``architecture.png``, ``learning_*.png``, and a folder a clip.

    Args:
        output: folder; made if missing.
        artefact: of the run.
        run: what to explain.
        clips: which to show.

    Raises:
        UserError: a file cannot be written.
    """
    explanations = [explain(artefact, run, clip) for clip in clips]
    graph = walk(artefact.model)
    diagram = draw_diagram(graph, artefact.model.name)
    learning, epochs = _learning(run)
    page = render_page(run.config.name, explanations, learning, epochs, diagram, graph, run.config.to_yaml())
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for picture in (diagram, *learning):
            save_png(picture, output / f"{picture.name}.png")
        for number, found in enumerate(explanations, start=1):
            folder = output / folder_name(number, found.clip.name)
            folder.mkdir(exist_ok=True)
            for picture in found.pictures:
                save_png(picture, folder / f"{picture.name}.png")
        write_atomically(output / PAGE_NAME, page)
    return explanations


def folder_name(number: int, clip: str) -> str:
    """Of a clip: its place, and as much of its name as any file system takes."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", clip).strip("_.")
    return f"{number:02d}_{name[-MOST_LETTERS:]}"


def _learning(run: Run) -> tuple[list[Picture], Player | None]:
    history = read_history(run.directory / HISTORY_NAME)
    if not history:
        return [], None
    length = len(next(iter(history.values())))
    epochs = history.get("epoch", np.arange(1.0, length + 1))
    kept = kept_epoch(history, run.config.train.monitor)
    names = [
        f"epoch {epoch:g}{', whose weights were kept' if place == kept else ''}"
        for place, epoch in enumerate(epochs)
    ]
    readout = {
        name: [NOTHING if np.isnan(value) else f"{value:.4g}" for value in values]
        for name, values in history.items()
        if name != "epoch"
    }
    player = Player("epoch", names, epochs.tolist(), readout, shown=[], start=length - 1 if kept is None else kept)
    return [draw_curves(curves, epochs, kept) for curves in group_history(history)], player
