"""Layers that several architectures share. ``keras.ops`` alone: they run on every Keras backend."""

from typing import Any

import keras


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
