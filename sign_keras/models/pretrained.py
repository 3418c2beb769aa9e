"""Weights from files: those of another task, or of another head, into a new model."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras

from sign_keras.models.heads import HEAD_LAYERS
from tfrecords_tools.command_line import UserError


def load_pretrained(model: keras.Model, path: Path, option: str) -> None:
    """Loads all weights where they fit; else all but the head, which keeps its fresh ones.

    Args:
        model: of the architecture that the file was written by.
        path: ``.weights.h5``, as ``model.save_weights`` writes it.
        option: what named the file, for messages.

    Raises:
        UserError: it is missing, is no such file, or anything but the head differs.
    """
    if not path.is_file():
        raise UserError(f"{option}={path}: no such file")
    if not path.name.endswith(".weights.h5"):
        raise UserError(f"{option}={path}: expected a file whose name ends in .weights.h5")
    heads = [layer for layer in model.layers if layer.name in HEAD_LAYERS]
    wanted = sum(len(layer.weights) for layer in model.layers if layer not in heads)
    with loading(f"{option}={path}", model.name):
        shapes = _shapes_by_layer(path)
        found = sum(len(shapes[name]) for name in shapes if name not in HEAD_LAYERS)
        if found != wanted:  # Keras itself does not mind tensors that find no place
            raise UserError(
                f"{option}={path}: does not fit the {model.name}: it has {found} tensors before the head, the "
                f"model has {wanted}; are architecture and depth the same?"
            )
        others = [head for head in heads if shapes.get(head.name) != sorted(tuple(w.shape) for w in head.weights)]
        model.load_weights(path, objects_to_skip=others)


@contextlib.contextmanager
def loading(source: str, name: str) -> Iterator[None]:
    """Within the context Keras loads weights; that they do not fit is said once.

    Keras warns of every layer that it finds no weights for. Where it then fails, that is left out; else it is
    passed on.

    Args:
        source: option and file, for the message.
        name: of what they are for.

    Raises:
        UserError: Keras says that they do not fit, or that the file is none of weights.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            yield
        except (ValueError, OSError, KeyError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            # Keras counts the failures first; its second line says what is wrong with one of them.
            reason = " ".join(lines[:2]) or type(error).__name__
            raise UserError(f"{source}: does not fit the {name} ({reason})") from None
    for warning in said:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _shapes_by_layer(path: Path) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of the weights of each top-level layer, sorted; states of random generators are left out."""
    with h5py.File(path, "r") as file:
        return {layer["vars"].attrs["name"]: _shapes(layer) for layer in file["layers"].values()}


def _shapes(group: h5py.Group) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            shapes.append(item.shape)

    group.visititems(visit)
    return sorted(shapes)
