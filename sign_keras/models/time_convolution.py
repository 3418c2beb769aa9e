"""Convolutions over time, each channel by itself, and the block that is made around one."""

from typing import Any

import keras

from sign_keras.models.channel_attention import ChannelAttention
from sign_keras.models.time_mean import State


@keras.saving.register_keras_serializable(package="sign_keras")
class TimeConvolution(keras.layers.Layer):
    """A depthwise convolution over time without bias: ``[B, T, C]`` to ``[B, T, C]``.

    Frames that the mask leaves out count as 0, as beyond a clip's ends. Weights are those of
    ``keras.layers.DepthwiseConv1D``. It is computed as a 2D one of T x 1 pixels: TensorFlow lays Keras's out as 1 x
    T, whose gradient is slow on a CPU. Forward and backward at B = 64, T = 32, C = 384 and a kernel of 17 on 2
    cores: as T x 1 pixels 4.3 ms, as 1 x T pixels 10.0, as a T x T matrix a channel 3.7 (but its cost grows with
    the square of T, and phones have an operator for the first), as 17 shifted products 45.

    Args:
        kernel_size: in frames.
        causal: each frame sees itself and those before it; else as many on both sides, as Keras's ``same``.
    """

    def __init__(self, kernel_size: int, causal: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_size, self.causal = kernel_size, causal
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """One kernel a channel."""
        self.kernel = self.add_weight(shape=(self.kernel_size, input_shape[-1], 1), name="kernel")
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        if mask is not None:
            inputs = inputs * keras.ops.cast(mask, inputs.dtype)[..., None]
        before = self.kernel_size - 1 if self.causal else (self.kernel_size - 1) // 2
        padded = keras.ops.pad(inputs, ((0, 0), (before, self.kernel_size - 1 - before), (0, 0)))
        return self._convolved(padded)

    def initial_state(self, batch_size: int) -> State:
        """The frames before the first: ``frames`` ``[B, kernel_size - 1, C]`` float32 zeros."""
        return {"frames": keras.ops.zeros((batch_size, self.kernel_size - 1, self.kernel.shape[1]), "float32")}

    def step(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One frame ``[B, 1, C]`` to one frame.

        Raises:
            ValueError: the layer is not causal.
        """
        if not self.causal:
            raise ValueError(f"{self.name}: a convolution that is not causal needs frames to come")
        frames = keras.ops.concatenate([keras.ops.cast(state["frames"], inputs.dtype), inputs], axis=1)
        return self._convolved(frames), {"frames": keras.ops.cast(frames[:, 1:], "float32")}

    def _convolved(self, frames: Any) -> Any:
        picture = frames[:, :, None]  # [B, T + kernel_size - 1, 1, C]
        kernel = keras.ops.cast(self.kernel, frames.dtype)[:, None]
        return keras.ops.depthwise_conv(picture, kernel, padding="valid", data_format="channels_last")[:, :, 0]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "kernel_size": self.kernel_size, "causal": self.causal}


@keras.saving.register_keras_serializable(package="sign_keras")
class ConvolutionBlock(keras.layers.Layer):
    """An inverted residual over time: ``[B, T, D]`` to ``[B, T, D]``.

    Widen, convolve each channel over time, normalise, scale channels by ``ChannelAttention``, narrow, drop the
    whole path now and then (stochastic depth, Huang et al. 2016, arXiv:1603.09382), add what came in.

    Source: ``Conv1DBlock`` of the first place of Google's Isolated Sign Language Recognition on Kaggle, 2023
    (hoyso48); after MobileNetV2's block (arXiv:1801.04381) and ECA (arXiv:1910.03151). Masked frames are 0 to the
    convolution here.

    Args:
        kernel_size: of the convolution, in frames.
        expansion: channels within, as a multiple of ``D``.
        padding: ``causal`` or ``same``, of the convolution.
        channel_attention: ``clip``, by means over the whole clip; ``running``, over the frames so far; or ``none``.
        activation: of the wide layer.
        drop_path: share of clips for which the path is dropped in training.
        batch_norm_momentum: share of the old statistics that a step keeps.
    """

    def __init__(
        self,
        kernel_size: int,
        *,
        expansion: int = 2,
        padding: str = "causal",
        channel_attention: str = "clip",
        activation: str = "silu",
        drop_path: float = 0.0,
        batch_norm_momentum: float = 0.95,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.options: dict[str, Any] = {
            "kernel_size": kernel_size,
            "expansion": expansion,
            "padding": padding,
            "channel_attention": channel_attention,
            "activation": activation,
            "drop_path": drop_path,
            "batch_norm_momentum": batch_norm_momentum,
        }
        self.supports_masking = True
        self.convolve = TimeConvolution(kernel_size, padding == "causal", name="convolve")
        self.normalize = keras.layers.BatchNormalization(momentum=batch_norm_momentum, name="normalize")
        self.attend = None
        if channel_attention != "none":
            self.attend = ChannelAttention(running=channel_attention == "running", name="attend")
        self.drop = keras.layers.Dropout(drop_path, noise_shape=(None, 1, 1), name="drop")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the layers within."""
        num_features = input_shape[-1]
        if num_features is None:
            raise ValueError(f"{self.name}: the number of features must be known (found {input_shape})")
        wide = (*input_shape[:-1], num_features * self.options["expansion"])
        self.widen = keras.layers.Dense(wide[-1], activation=self.options["activation"], name="widen")
        self.narrow = keras.layers.Dense(num_features, name="narrow")
        self.widen.build(input_shape)
        for layer in (self.convolve, self.normalize, self.narrow, *([] if self.attend is None else [self.attend])):
            layer.build(wide)
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None, training: bool | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        features = self.convolve(self.widen(inputs), mask=mask)
        features = self.normalize(features, mask=mask, training=training)
        if self.attend is not None:
            features = self.attend(features, mask=mask)
        return inputs + self.drop(self.narrow(features), training=training)

    @property
    def is_causal(self) -> bool:
        """Whether no frame sees those after it."""
        return self.convolve.causal and self.options["channel_attention"] != "clip"

    def initial_state(self, batch_size: int) -> State:
        """Those of the convolution and of the channel attention."""
        state = self.convolve.initial_state(batch_size)
        return state if self.attend is None else state | self.attend.initial_state(batch_size)

    def step(self, inputs: Any, state: State) -> tuple[Any, State]:
        """One frame ``[B, 1, D]`` to one frame.

        Raises:
            ValueError: the block is not causal.
        """
        if not self.is_causal:
            raise ValueError(f"{self.name}: convolves or averages over frames to come")
        features, new_state = self.convolve.step(self.widen(inputs), state)
        features = self.normalize(features, training=False)
        if self.attend is not None:
            features, means = self.attend.step(features, state)
            new_state |= means
        return inputs + self.narrow(features), new_state

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self.options}
