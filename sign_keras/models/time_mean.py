"""Means over time that leave padding out: of a whole clip, or running, of the frames so far."""

from typing import Any

import keras

State = dict[str, Any]


@keras.saving.register_keras_serializable(package="sign_keras")
class TimeMean(keras.layers.Layer):
    """The mean over the frames that the mask keeps: ``[B, T, D]`` to ``[B, D]``; zeros where it keeps none.

    With ``running``, each frame gets the mean of the frames up to itself: ``[B, T, D]`` to ``[B, T, D]``. Computed
    in float32 whatever the precision policy.

    Args:
        running: see above.
    """

    def __init__(self, running: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.running = running
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        values = keras.ops.cast(inputs, "float32")
        weights = (
            keras.ops.ones_like(values[..., :1]) if mask is None else keras.ops.cast(mask, "float32")[..., None]
        )
        values = values * weights
        if self.running:
            total, count = keras.ops.cumsum(values, axis=1), keras.ops.cumsum(weights, axis=1)
        else:
            total, count = keras.ops.sum(values, axis=1), keras.ops.sum(weights, axis=1)
        return keras.ops.cast(total / keras.ops.maximum(count, 1.0), self.compute_dtype)

    def initial_state(self, batch_size: int) -> State:
        """Before the first frame: ``total`` ``[B, D]`` and ``count`` ``[B, 1]`` float32."""
        return {
            "total": keras.ops.zeros((batch_size, self.num_features), "float32"),
            "count": keras.ops.zeros((batch_size, 1), "float32"),
        }

    def step(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One frame ``[B, 1, D]`` to the mean of all so far: ``[B, 1, D]`` if running, else ``[B, D]``."""
        total = state["total"] + keras.ops.cast(inputs[:, 0], "float32")
        count = state["count"] + 1.0
        mean = keras.ops.cast(total / count, self.compute_dtype)
        return mean[:, None] if self.running else mean, {"total": total, "count": count}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Notes ``D``."""
        self.num_features = input_shape[-1]
        self.built = True

    def compute_mask(self, inputs: Any, mask: Any | None = None) -> Any:
        """None where time is gone."""
        return mask if self.running else None

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, D]``, or ``[B, T, D]`` if running."""
        return input_shape if self.running else (input_shape[0], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "running": self.running}
