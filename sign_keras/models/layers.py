"""Layers that several architectures share. ``keras.ops`` alone: they run on every Keras backend."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="sign_keras")
class FrameWise(keras.layers.Layer):
    """Applies a layer or model to every frame of a clip: ``[B, T, ...]`` to ``[B, T, ...]``.

    What ``keras.layers.TimeDistributed`` means, with time folded into the batch: the inner graph is traced
    once instead of T times, and exports hold one copy of it. Masks pass through unchanged.
    """

    def __init__(self, inner: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the inner layer for one frame's shape."""
        if not self.inner.built:
            self.inner.build((None, *input_shape[2:]))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Folds time into the batch, applies the inner layer, unfolds."""
        num_frames = inputs.shape[1]
        folded = keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))
        outputs = self.inner(folded, training=training)
        return keras.ops.reshape(outputs, (-1, num_frames, *outputs.shape[1:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, T]`` and the inner layer's output shape."""
        inner = self.inner.compute_output_shape((None, *input_shape[2:]))
        return (*input_shape[:2], *inner[1:])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FrameWise":
        """Rebuilds the layer around its inner layer."""
        return cls(keras.saving.deserialize_keras_object(config.pop("inner")), **config)


@keras.saving.register_keras_serializable(package="sign_keras")
class SpatialSoftmax(keras.layers.Layer):
    """Where each feature map is brightest: ``[B, H, W, C]`` to ``[B, 3 C]``.

    A softmax over the H W places of each map gives the expected x and y, both in [-1, 1] from edge to edge, and
    the largest probability, in [0, 1]: how sure the map is. Average pooling forgets where a hand is; this says
    it to a fraction of a cell. Computed in float32 whatever the precision policy.

    Source: Levine et al. 2016, arXiv:1504.00702, section 5.1; the third output is an addition.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs: Any) -> Any:
        """``[B, H, W, C]`` to ``[B, 3 C]``: all x, all y, all peaks."""
        height, width, channels = inputs.shape[1:]
        flat = keras.ops.reshape(keras.ops.cast(inputs, "float32"), (-1, height * width, channels))
        probabilities = keras.ops.softmax(keras.ops.transpose(flat, (0, 2, 1)), axis=-1)  # [B, C, H W]
        ys, xs = np.mgrid[:height, :width].reshape(2, -1)
        places = np.stack([_from_edge_to_edge(xs, width), _from_edge_to_edge(ys, height)], axis=-1)
        # One product of matrices: in 8 bits its sums are exact, and those of rounded products would not be.
        means = keras.ops.matmul(probabilities, places)  # [B, C, 2]
        peaks = keras.ops.max(probabilities, axis=-1)
        return keras.ops.concatenate([means[..., 0], means[..., 1], peaks], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, 3 C]``."""
        return (input_shape[0], 3 * (input_shape[-1] or 0))


def _from_edge_to_edge(cells: np.ndarray, count: int) -> np.ndarray:
    """Centres of cells, -1 at the picture's one edge and 1 at the other, as float32 ``[H W]``."""
    return ((2 * cells + 1) / count - 1).astype(np.float32)


@keras.saving.register_keras_serializable(package="sign_keras")
class Motion(keras.layers.Layer):
    """How features change over time: ``[B, T, D]`` to ``[B, T, D * len(lags)]``; maps ``[B, T, H, W, D]`` likewise.

    For each lag, the difference to the frame that many frames before, times ``scale`` (movements between
    neighbouring frames are small beside places); zero where there is no such frame. Places differ from signer to
    signer, movements much less.
    """

    def __init__(self, lags: Sequence[int], scale: float = 4.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lags, self.scale = tuple(lags), scale
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Differences, one block of ``D`` for each lag."""
        blocks = []
        for lag in self.lags:
            moved = self.scale * (inputs[:, lag:] - inputs[:, :-lag])
            others = ((0, 0),) * (len(inputs.shape) - 2)
            blocks.append(keras.ops.pad(moved, ((0, 0), (min(lag, inputs.shape[1]), 0), *others)))
        return keras.ops.concatenate(blocks, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "lags": self.lags, "scale": self.scale}


@keras.saving.register_keras_serializable(package="sign_keras")
class AttentionPooling(keras.layers.Layer):
    """A weighted mean over time, its weights learned: ``[B, T, D]`` to ``[B, D]``.

    Each moment's score comes from a small network (``w . tanh(V h)``); a softmax over the moments that the mask
    keeps turns scores into weights, in float32 whatever the precision policy.

    Source: Ilse et al. 2018, arXiv:1802.04712, equation 8.
    """

    def __init__(self, units: int = 128, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.supports_masking = True
        self.hidden = keras.layers.Dense(units, activation="tanh", name="hidden")
        # Scores begin equal: pooling begins as the mean.
        self.score = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="score")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the scoring network."""
        self.hidden.build(input_shape)
        self.score.build((*input_shape[:-1], self.units))
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``[B, D]``; ``mask`` is ``[B, T]`` bool."""
        if inputs.shape[1] == 1:  # nothing to choose from
            return inputs[:, 0]
        scores = keras.ops.cast(self.score(self.hidden(inputs)), "float32")  # [B, T, 1]
        if mask is not None:
            scores = keras.ops.where(mask[..., None], scores, -1e9)
        weights = keras.ops.cast(keras.ops.softmax(scores, axis=1), inputs.dtype)
        return keras.ops.sum(weights * inputs, axis=1)

    def compute_mask(self, inputs: Any, mask: Any | None = None) -> None:
        """None: time is gone."""
        return None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, D]``."""
        return (input_shape[0], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units}
