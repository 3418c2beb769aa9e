"""What TensorBoard shows of a run: scalars, the configuration, and the confusion matrix of each validation."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sign_keras.training.confusion import ConfusionCounts
from sign_keras.training.event_files import PATTERN
from sign_keras.training.gradient_norms import GRADIENT_NORM

# Beyond that, names would be too small to read, and each cell is a few pixels.
MOST_NAMED_GLOSSES = 40
SMALLEST_IMAGE = 480


class RunBoard(keras.callbacks.TensorBoard):
    """Keras's callback for TensorBoard; beside its scalars, the configuration as text and confusion as a picture.

    Args:
        directory: of TensorBoard's files.
        config_yaml: the run's configuration.
        glosses: all V, by id.
        confusion: counts of the validation that has just ended; this callback resets them before the next. None:
            there are none.
    """

    def __init__(
        self, directory: Path, *, config_yaml: str, glosses: Sequence[str], confusion: ConfusionCounts | None
    ) -> None:
        super().__init__(str(directory), write_graph=False)
        self._is_new = not any(directory.rglob(PATTERN))
        self._config_yaml, self._glosses, self._confusion = config_yaml, list(glosses), confusion

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Writes the configuration, unless a training that goes on has it."""
        super().on_train_begin(logs)
        if not self._is_new:
            return
        with self._train_writer.as_default():
            # Indented by four, Markdown leaves it as it is.
            tf.summary.text("config", "    " + self._config_yaml.replace("\n", "\n    "), step=0)
        self._train_writer.flush()  # a training that goes on after a kill does not write it again

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begins to count anew."""
        super().on_test_begin(logs)
        if self._confusion is not None:
            self._confusion.reset()

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Writes scalars by updates, unless validation was cut short."""
        if not self.model.stop_evaluating:
            super().on_test_end(logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the epoch's scalars and its confusion matrix, before a checkpoint says that the epoch has ended.

        TensorFlow says nothing where a disk is full; the checkpoint does, and the epoch is then written once more.
        """
        norms = {name: value for name, value in (logs or {}).items() if name.startswith(f"{GRADIENT_NORM}_")}
        super().on_epoch_end(epoch, {name: value for name, value in (logs or {}).items() if name not in norms})
        with self._train_writer.as_default():
            for name, value in norms.items():
                if math.isfinite(value):  # not of a stage that is frozen
                    tf.summary.scalar(name.replace("_norm_", "_norm/", 1), value, step=epoch)
        if self._confusion is not None:
            with self._val_writer.as_default():
                image = draw_confusion(self._confusion.matrix, self._glosses)
                tf.summary.image("confusion", image[np.newaxis], step=epoch)
        for writer in (self._train_writer, self._val_writer):
            writer.flush()


def draw_confusion(matrix: np.ndarray, glosses: Sequence[str]) -> np.ndarray:
    """A picture of a confusion matrix, signed glosses from top to bottom, predicted ones from left to right.

    Args:
        matrix: ``[V, V]`` counts, right gloss by predicted gloss.
        glosses: V names.

    Returns:
        ``[H, W, 3]`` uint8; darker is a larger share of the row's clips. With names where there is room.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    if len(glosses) <= MOST_NAMED_GLOSSES:
        return _named_picture(shares, glosses)
    cell = -(-SMALLEST_IMAGE // len(glosses))
    grey = np.round(255 * (1 - np.kron(shares, np.ones((cell, cell))))).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _named_picture(shares: np.ndarray, glosses: Sequence[str]) -> np.ndarray:
    side = 2.5 + 0.2 * len(glosses)
    figure = Figure(figsize=(side, side), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="signed")
    axes.set_xticks(range(len(glosses)), glosses, rotation=90, fontsize=8)
    axes.set_yticks(range(len(glosses)), glosses, fontsize=8)
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        label.set_parse_math(False)  # a gloss may hold a dollar sign
    with warnings.catch_warnings():
        # Glosses in scripts that the font lacks come out as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
