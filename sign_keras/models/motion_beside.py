"""Features of frames with their motion beside them, for clips and, frame by frame, for streams."""

from collections.abc import Sequence
from typing import Any

import keras

from sign_keras.models.layers import Motion

State = dict[str, Any]


@keras.saving.register_keras_serializable(package="sign_keras")
class MotionBeside(keras.layers.Layer):
    """Puts what ``Motion`` says of the first features behind all of them: ``[B, T, D]`` to ``[B, T, D + n lags]``.

    Args:
        lags: of ``Motion``, in frames.
        num_moving: n, how many of the D features are looked at; None: all.
    """

    def __init__(self, lags: Sequence[int], num_moving: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lags, self.num_moving = tuple(lags), num_moving
        self.supports_masking = True
        self.motion = Motion(self.lags, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Notes n."""
        self.size = self.num_moving or input_shape[-1]
        self.built = True

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return keras.ops.concatenate([inputs, self.motion(inputs[..., : self.size])], axis=-1)

    def initial_state(self, batch_size: int) -> State:
        """Before the first frame: ``frames`` ``[B, largest lag, n]`` and ``count`` ``[B, 1]`` float32, zeros."""
        return {
            "frames": keras.ops.zeros((batch_size, max(self.lags), self.size), "float32"),
            "count": keras.ops.zeros((batch_size, 1), "float32"),
        }

    def step(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One frame ``[B, 1, D]`` to ``[B, 1, D + n lags]``."""
        now = keras.ops.cast(inputs[..., : self.size], "float32")
        blocks = [inputs]
        for lag in self.lags:
            # Before the first frame there is nothing, from which nothing has moved.
            exists = keras.ops.cast(state["count"] >= lag, "float32")[:, None]
            moved = self.motion.scale * (now - state["frames"][:, -lag:][:, :1]) * exists
            blocks.append(keras.ops.cast(moved, inputs.dtype))
        frames = keras.ops.concatenate([state["frames"][:, 1:], now], axis=1)
        # Counted no further than the largest lag: a stream may go on for ever.
        count = keras.ops.minimum(state["count"] + 1.0, float(max(self.lags)))
        return keras.ops.concatenate(blocks, axis=-1), {"frames": frames, "count": count}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, T, D + n lags]``."""
        size = input_shape[-1] or 0
        return (*input_shape[:-1], size + len(self.lags) * (self.num_moving or size))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "lags": self.lags, "num_moving": self.num_moving}
