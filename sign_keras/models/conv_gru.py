"""A GRU whose state is a feature map: convolutions in place of matrix products."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="sign_keras")
class ConvGRU(keras.layers.Layer):
    """Feature maps over time: ``[B, T, H, W, C]`` to the states ``[B, T, H, W, units]``.

    ``z, r = sigmoid(W * x + U * h)``, ``candidate = tanh(W * x + U * (r h))``, ``h = (1 - z) h + z candidate``,
    with convolutions for ``*``. What comes of the inputs is computed for all frames at once; a loop is left for the
    states. Where the mask is false the state stays.

    Source: Ballas et al. 2016, arXiv:1511.06432, equations 3 to 6.

    Args:
        units: channels of the state.
        kernel_size: of all convolutions.
        kernel_initializer: of the convolution of the inputs.
    """

    def __init__(
        self, units: int, kernel_size: int = 3, kernel_initializer: Any = "glorot_uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.kernel_size = units, kernel_size
        self.supports_masking = True
        self.of_inputs = keras.layers.Conv2D(
            3 * units,
            kernel_size,
            padding="same",
            kernel_initializer=kernel_initializer,
            dtype=self.dtype_policy,
            name="inputs",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the convolutions, for maps of this size."""
        _, num_frames, height, width, _ = input_shape
        assert height is not None
        assert width is not None
        self.of_inputs.build((None, *input_shape[2:]))
        cell = ConvGRUCell(self.units, (height, width), self.kernel_size, dtype=self.dtype_policy, name="cell")
        self.states = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy, name="states")
        self.states.build((None, num_frames, height * width * 3 * self.units))
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        _, num_frames, height, width, channels = inputs.shape
        folded = self.of_inputs(ops.reshape(inputs, (-1, height, width, channels)))
        states = self.states(ops.reshape(folded, (-1, num_frames, height * width * 3 * self.units)), mask=mask)
        return ops.reshape(states, (-1, num_frames, height, width, self.units))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, T, H, W, units]``."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.of_inputs.kernel_initializer),
        }


@keras.saving.register_keras_serializable(package="sign_keras")
class ConvGRUCell(keras.layers.Layer):
    """One step of ``ConvGRU``: states and what comes of the inputs are flat, as ``keras.layers.RNN`` wants them.

    Args:
        units: channels of the state.
        size: height and width of the maps.
        kernel_size: of the convolutions of the state.
    """

    def __init__(self, units: int, size: tuple[int, int], kernel_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.size, self.kernel_size = units, tuple(size), kernel_size
        self.state_size = size[0] * size[1] * units
        self.output_size = self.state_size
        options = {"padding": "same", "use_bias": False, "kernel_initializer": "orthogonal"}
        self.of_gates = keras.layers.Conv2D(
            2 * units, kernel_size, dtype=self.dtype_policy, name="gates", **options
        )
        self.of_candidate = keras.layers.Conv2D(
            units, kernel_size, dtype=self.dtype_policy, name="candidate", **options
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the convolutions of the state."""
        for layer in (self.of_gates, self.of_candidate):
            layer.build((None, *self.size, self.units))
        self.built = True

    def call(self, inputs: Any, states: list[Any], training: bool | None = None) -> tuple[Any, list[Any]]:
        """``[B, H W 3 units]`` and the state ``[B, H W units]`` to the new state, twice."""
        state = ops.reshape(states[0], (-1, *self.size, self.units))
        of_inputs = ops.reshape(inputs, (-1, *self.size, 3 * self.units))
        gates = ops.sigmoid(of_inputs[..., : 2 * self.units] + self.of_gates(state))
        update, reset = gates[..., : self.units], gates[..., self.units :]
        candidate = ops.tanh(of_inputs[..., 2 * self.units :] + self.of_candidate(reset * state))
        new = ops.reshape(state + update * (candidate - state), (-1, self.state_size))
        return new, [new]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "size": self.size,
            "kernel_size": self.kernel_size,
        }
