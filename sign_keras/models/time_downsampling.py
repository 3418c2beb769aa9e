"""Fewer moments: the mean of every few frames, with padding left out."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="sign_keras")
class TimeDownsampling(keras.layers.Layer):
    """The mean over every ``factor`` frames that follow each other: ``[B, T, D]`` to ``[B, ceil(T / factor), D]``.

    Only frames that the mask keeps are in a mean; where it keeps none of them, zeros. Computed in float32 whatever
    the precision policy. Of a clip of n real frames, the first ``ceil(n / factor)`` moments are real:
    ``ctc.labels.logit_frames``.

    Args:
        factor: at least 1.
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        values = keras.ops.cast(inputs, "float32")
        weights = (
            keras.ops.ones_like(values[..., :1]) if mask is None else keras.ops.cast(mask, "float32")[..., None]
        )
        total, count = self._sums(values * weights), self._sums(weights)
        return keras.ops.cast(total / keras.ops.maximum(count, 1.0), self.compute_dtype)

    def mask_of_moments(self, mask: Any) -> Any:
        """``[B, T]`` bool to ``[B, ceil(T / factor)]`` bool: moments with a real frame among theirs."""
        return self._sums(keras.ops.cast(mask, "float32")[..., None])[..., 0] > 0

    def compute_mask(self, inputs: Any, mask: Any | None = None) -> Any:
        """See ``mask_of_moments``."""
        return None if mask is None else self.mask_of_moments(mask)

    def _sums(self, values: Any) -> Any:
        """Sums over the frames of each moment; beyond the last frame are zeros."""
        num_frames, num_features = values.shape[1:]
        values = keras.ops.pad(values, ((0, 0), (0, -num_frames % self.factor), (0, 0)))
        moments = keras.ops.reshape(values, (-1, values.shape[1] // self.factor, self.factor, num_features))
        return keras.ops.sum(moments, axis=2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, ceil(T / factor), D]``."""
        num_frames = input_shape[1]
        return (input_shape[0], None if num_frames is None else -(-num_frames // self.factor), input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "factor": self.factor}
