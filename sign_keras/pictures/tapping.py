"""To listen at a layer inside a model while the model runs, however deep it is nested."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

# Takes the layer's own ``call`` and the arguments it is called with, and returns what the layer is to give.
Tap = Callable[..., Any]


@contextlib.contextmanager
def tapped(layer: keras.layers.Layer, tap: Tap) -> Iterator[None]:
    """Puts ``tap`` in the place of a layer's ``call`` within the context.

    The model must be run on arrays, not in a compiled function: that would go on with what it was compiled with.
    A model of its own with the tensor as a second output would do as well, but not for layers inside layers, and
    each such model adds to what its layers know of their neighbours.

    Args:
        layer: any layer of a built model.
        tap: called as ``tap(call, *arguments, **keywords)``.
    """
    own = layer.call

    def call(*arguments: Any, **keywords: Any) -> Any:
        return tap(own, *arguments, **keywords)

    layer.call = call
    try:
        yield
    finally:
        del layer.call  # the class's own shows again
