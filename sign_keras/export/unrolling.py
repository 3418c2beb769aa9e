"""Recurrent layers without a loop, for converters that crash on one."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def unrolled_recurrence(model: keras.Model) -> Iterator[None]:
    """Within the context, a model's recurrent layers are traced as one copy of their cell for each frame."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]
    before = [layer.unroll for layer in layers]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll
