"""Frame backbones whose features keep their places: one picture to a small map."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

AVERAGE, PYRAMID, POINTS = "average", "smooth", "points"


def with_map(backbone: keras.Model, grid: int) -> keras.Model:
    """A backbone's features in front of its mean over places, pooled to a grid.

    Of ``mobilenet_v2_points``, the pooled top of its feature pyramid, and in every cell all that the backbone says
    of the picture: where its points are cannot be pooled.

    Args:
        backbone: of ``backbones.build_backbone``; its weights are shared.
        grid: G.

    Returns:
        A model from pictures ``[B, H, W, 3]`` in [0, 255] to ``[B, G, G, C]``.
    """
    has_points = any(layer.name == POINTS for layer in backbone.layers)
    maps = backbone.get_layer(PYRAMID).output if has_points else backbone.get_layer(AVERAGE).input
    features: Any = GridPooling(grid, name="grid")(maps)
    if has_points:
        whole = keras.layers.Reshape((1, 1, -1))(backbone.output)
        whole = keras.layers.UpSampling2D(grid, name="everywhere")(whole)
        features = keras.layers.Concatenate(name="cells")([features, whole])
    return keras.Model(backbone.input, features, name="map_backbone")


@keras.saving.register_keras_serializable(package="sign_keras")
class GridPooling(keras.layers.Layer):
    """Means over the cells of a grid: ``[B, H, W, C]`` to ``[B, G, G, C]``, whatever H and W are.

    Row i of the grid is the mean of rows ``floor(i H / G)`` up to ``ceil((i + 1) H / G)``, as of PyTorch's
    ``AdaptiveAvgPool2d``: cells overlap where they do not divide the map, and repeat it where it is smaller.
    Keras's own layer cuts no cells of a map that is smaller than the grid.

    Args:
        grid: G.
    """

    def __init__(self, grid: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid = grid

    def call(self, inputs: Any) -> Any:
        """One product of matrices: cells are weighted sums of places."""
        height, width, channels = inputs.shape[1:]
        cells = ops.convert_to_tensor(np.kron(_means(height, self.grid), _means(width, self.grid)), inputs.dtype)
        pooled = ops.matmul(cells, ops.reshape(inputs, (-1, height * width, channels)))
        return ops.reshape(pooled, (-1, self.grid, self.grid, channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, G, G, C]``."""
        return (input_shape[0], self.grid, self.grid, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "grid": self.grid}


def _means(size: int, cells: int) -> np.ndarray:
    """``[cells, size]`` weights that sum to 1 for each cell."""
    weights = np.zeros((cells, size))
    for cell in range(cells):
        weights[cell, cell * size // cells : math.ceil((cell + 1) * size / cells)] = 1
    return weights / weights.sum(axis=1, keepdims=True)
