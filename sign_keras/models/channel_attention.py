"""Efficient channel attention: which channels matter, judged by their means over time."""

from typing import Any

import keras

from sign_keras.models.time_mean import State, TimeMean


@keras.saving.register_keras_serializable(package="sign_keras")
class ChannelAttention(keras.layers.Layer):
    """Scales each channel by a number in (0, 1): ``[B, T, C]`` to ``[B, T, C]``.

    The number comes from the mean over time of the channel and its neighbours, by one convolution over channels
    that all share. ``mask`` leaves frames out of the mean.

    Source: ECA, Wang et al. 2020, arXiv:1910.03151, in one dimension.

    Args:
        kernel_size: how many neighbouring channels, odd.
        running: the mean is that of the frames so far: no frame sees those after it.
    """

    def __init__(self, kernel_size: int = 5, running: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_size, self.running = kernel_size, running
        self.supports_masking = True
        self.mean = TimeMean(running, name="mean")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """One kernel over channels."""
        self.mean.build(input_shape)
        self.kernel = self.add_weight(shape=(self.kernel_size, 1, 1), name="kernel")
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        means = self.mean(inputs, mask=mask)
        return inputs * self._scales(means if self.running else means[:, None])

    def initial_state(self, batch_size: int) -> State:
        """That of the running mean."""
        return self.mean.initial_state(batch_size)

    def step(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One frame ``[B, 1, C]``, scaled by the means so far."""
        means, state = self.mean.step(inputs, state)
        return inputs * self._scales(means), state

    def _scales(self, means: Any) -> Any:
        """``[B, n, C]`` to ``[B, n, C]``."""
        _, count, channels = means.shape
        rows = keras.ops.reshape(means, (-1, channels, 1))
        scales = keras.ops.sigmoid(keras.ops.conv(rows, self.kernel, padding="same", data_format="channels_last"))
        return keras.ops.reshape(scales, (-1, count, channels))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "kernel_size": self.kernel_size, "running": self.running}
