"""Layers of the networks of 3D convolutions: ``[B, T, H, W, C]`` to ``[B, T', H', W', C']``.

Convolutions that span only space or only time are computed as 2D ones, by reshapes alone, and so is pooling: phones
run 2D operators fast and in 8 bits, 3D ones slowly or (pooling) not at all. On a CPU both take the same time; full
3 x 3 x 3 kernels are fastest as they are (forward and backward in 0.33 to 0.69 of the time of the 2D forms, from
14 pixels on; ``docs/models.md`` has the figures).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

HE_FAN_OUT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "normal"},
}


@keras.saving.register_keras_serializable(package="sign_keras")
class SymmetricConv3D(keras.layers.Conv3D):
    """A 3D convolution of odd kernel, padded alike on both sides, as PyTorch pads.

    Keras's ``same`` pads strided convolutions on the far side only, which moves the picture by half a pixel a
    stage: weights trained elsewhere would not fit. The kernel is always ``[kt, kh, kw, C, C']``.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, use_bias: bool = False, **kwargs: Any
    ) -> None:
        kwargs = {"kernel_initializer": HE_FAN_OUT, **kwargs, "padding": "valid"}
        super().__init__(filters, kernel_size, strides, use_bias=use_bias, **kwargs)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """The convolution without its bias."""
        time_stride, *space_strides = self.strides
        if inputs.shape[1] == 1:  # a single frame meets only the middle of the kernel
            kernel = kernel[self.kernel_size[0] // 2 :][:1]
        if kernel.shape[0] == 1:
            if time_stride > 1:  # a slice of everything is copied all the same
                inputs = inputs[:, ::time_stride]
            return _over_space(inputs, kernel[0], space_strides)
        if self.kernel_size[1:] == (1, 1) and space_strides == [1, 1]:
            return _over_time(inputs, kernel[:, :, 0], time_stride)
        if self.strides == (1, 1, 1):
            return keras.ops.conv(inputs, kernel, padding="same")
        return keras.ops.conv(_padded_clip(inputs, self.kernel_size), kernel, self.strides, padding="valid")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, T', H', W', C']``: each size divided by its stride, rounded up."""
        sizes = zip(input_shape[1:4], self.strides, strict=True)
        return (
            input_shape[0],
            *(None if size is None else -(-size // stride) for size, stride in sizes),
            self.filters,
        )


def _over_space(inputs: Any, kernel: Any, strides: Sequence[int]) -> Any:
    """``[B, T, H, W, C]`` with ``[kh, kw, C, C']``, frame by frame."""
    size = kernel.shape[:2]
    if max(size) == 1 < max(strides):
        # Pixels left out beforehand: for some numbers of channels TensorFlow 2.19's gradient of a strided 1 x 1
        # convolution writes beyond its memory on a CPU.
        inputs, strides = inputs[:, :, :: strides[0], :: strides[1]], (1, 1)
    frames = keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))
    if max(strides) == 1:
        outputs = keras.ops.conv(frames, kernel, tuple(strides), padding="same")
    else:
        outputs = keras.ops.conv(_padded(frames, size), kernel, tuple(strides), padding="valid")
    return keras.ops.reshape(outputs, (-1, inputs.shape[1], *outputs.shape[1:]))


def _over_time(inputs: Any, kernel: Any, stride: int) -> Any:
    """``[B, T, H, W, C]`` with ``[kt, 1, C, C']``, as a picture of T by H W pixels."""
    _, num_frames, height, width, channels = inputs.shape
    picture = keras.ops.reshape(inputs, (-1, num_frames, height * width, channels))
    if stride == 1:
        outputs = keras.ops.conv(picture, kernel, padding="same")
    else:
        outputs = keras.ops.conv(_padded(picture, kernel.shape[:2]), kernel, (stride, 1), padding="valid")
    return keras.ops.reshape(outputs, (-1, outputs.shape[1], height, width, outputs.shape[-1]))


def _padded_clip(inputs: Any, kernel_size: Sequence[int]) -> Any:
    """Frames padded in 2D, and black ones before and after: TensorFlow 2.19 trips over a 3D Pad in front of Conv3D.

    (Its optimiser tries to join the two, fails on the gradient, and leaves the whole graph as it is.)
    """
    frames = _padded(keras.ops.reshape(inputs, (-1, *inputs.shape[2:])), kernel_size[1:])
    clip = keras.ops.reshape(frames, (-1, inputs.shape[1], *frames.shape[1:]))
    nothing = keras.ops.zeros_like(clip[:, : kernel_size[0] // 2])
    return keras.ops.concatenate([nothing, clip, nothing], axis=1)


def _padded(inputs: Any, kernel_size: Sequence[int]) -> Any:
    return keras.ops.pad(inputs, [(0, 0), *((size // 2, size // 2) for size in kernel_size), (0, 0)])


@keras.saving.register_keras_serializable(package="sign_keras")
class FoldedMaxPooling3D(keras.layers.Layer):
    """``keras.layers.MaxPooling3D`` with ``padding="same"``, by two 2D poolings, which TFLite has.

    A window reaches over the far edge where a size is odd, so that nothing is left out: what the original C3D calls
    rounding up. Call: ``[B, T, H, W, C]``.
    """

    def __init__(self, pool_size: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pool_size = tuple(pool_size)

    def call(self, inputs: Any) -> Any:
        """The largest value of each window."""
        time, *space = self.pool_size
        frames = keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))
        frames = keras.ops.max_pool(frames, tuple(space), padding="same")
        _, height, width, channels = frames.shape
        if time == 1 or inputs.shape[1] == 1:
            return keras.ops.reshape(frames, (-1, inputs.shape[1], height, width, channels))
        picture = keras.ops.reshape(frames, (-1, inputs.shape[1], height * width, channels))
        picture = keras.ops.max_pool(picture, (time, 1), padding="same")
        return keras.ops.reshape(picture, (-1, picture.shape[1], height, width, channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """``[B, T', H', W', C]``: each size divided by the window's, rounded up."""
        sizes = zip(input_shape[1:4], self.pool_size, strict=True)
        return (
            input_shape[0],
            *(None if size is None else -(-size // pool) for size, pool in sizes),
            input_shape[4],
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "pool_size": self.pool_size}


class Recomputable(keras.layers.Layer):
    """A block that can keep its input alone for the backward pass, and compute the rest again then.

    Batch statistics are gathered once all the same, so that training with and without ``remat`` is one and the
    same. Source: Chen et al. 2016, arXiv:1604.06174; ``keras.remat``.

    Subclasses implement ``forward`` and ``compute_output_shape``.
    """

    def __init__(self, remat: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.remat = remat

    def forward(self, inputs: Any, training: bool | None) -> Any:
        """What the block computes."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """``forward``, its insides forgotten in between where ``remat`` says so."""
        if not (self.remat and training):
            return self.forward(inputs, training)
        first = True

        def forward(values: Any) -> Any:
            nonlocal first
            if first:
                first = False
                return self.forward(values, training)
            normalizations = [
                layer for layer in self._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)
            ]
            momenta = [layer.momentum for layer in normalizations]
            for layer in normalizations:
                layer.momentum = 1.0  # the second time, moving statistics stay as they are
            try:
                return self.forward(values, training)
            finally:
                for layer, momentum in zip(normalizations, momenta, strict=True):
                    layer.momentum = momentum

        return keras.remat(forward)(inputs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "remat": self.remat}


@keras.saving.register_keras_serializable(package="sign_keras")
class ConvStage(Recomputable):
    """Layers one after the other, recomputed together.

    Args:
        layers: what it applies.
    """

    def __init__(self, layers: Sequence[keras.layers.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layers = list(layers)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the layers in turn."""
        for layer in self.layers:
            if not layer.built:  # as when a saved stage is loaded
                layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.built = True

    def forward(self, inputs: Any, training: bool | None) -> Any:
        """Applies the layers in turn."""
        for layer in self.layers:
            takes_training = isinstance(layer, keras.layers.BatchNormalization)
            inputs = layer(inputs, training=training) if takes_training else layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The last layer's."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "layers": [keras.saving.serialize_keras_object(one) for one in self.layers]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConvStage":
        """Rebuilds the stage from its layers."""
        layers = [keras.saving.deserialize_keras_object(one) for one in config.pop("layers")]
        return cls(layers, **config)


@keras.saving.register_keras_serializable(package="sign_keras")
class ResidualBlock(Recomputable):
    """Two convolutions and a way around them: ``relu(conv2(conv1(x)) + x)``.

    The basic block of He et al. 2016 (arXiv:1512.03385) in three dimensions, each convolution with batch
    normalisation. Attributes carry torchvision's names, so that its weights find their places.

    Args:
        filters: channels it gives, ``C'``.
        kind: of convolution: ``3d`` (3 x 3 x 3), ``2d`` (1 x 3 x 3), or ``2plus1d``: 1 x 3 x 3, batch
            normalisation, ReLU and 3 x 1 x 1, with as many channels between as give it a 3D one's parameters
            (Tran et al. 2018, arXiv:1711.11248, section 3.5).
        strides: of time, height and width, in its first convolution.
        momentum: of batch normalisation.
        epsilon: likewise.
    """

    def __init__(
        self,
        filters: int,
        kind: str,
        strides: Sequence[int] = (1, 1, 1),
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kind, self.strides = filters, kind, tuple(strides)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the layers: the channels between depend on those that come."""
        channels = input_shape[-1] or 0
        ours, norm = self.filters, self._normalization
        between = (channels * ours * 27) // (channels * 9 + 3 * ours)
        convolution = CONVOLUTIONS[self.kind]
        relu = keras.layers.ReLU
        self.conv1 = keras.Sequential([convolution(ours, between, self.strides, norm), norm(), relu()])
        self.conv2 = keras.Sequential([convolution(ours, between, (1, 1, 1), norm), norm()])
        self.downsample = None
        if self.strides != (1, 1, 1) or channels != ours:
            self.downsample = keras.Sequential([SymmetricConv3D(ours, 1, self.strides), norm()])
            self.downsample.build(input_shape)
        self.conv1.build(input_shape)
        self.conv2.build(self.compute_output_shape(input_shape))
        self.built = True

    def _normalization(self) -> keras.layers.Layer:
        return keras.layers.BatchNormalization(momentum=self.momentum, epsilon=self.epsilon)

    def forward(self, inputs: Any, training: bool | None) -> Any:
        """``[B, T', H', W', C']``."""
        features = self.conv2(self.conv1(inputs, training=training), training=training)
        around = inputs if self.downsample is None else self.downsample(inputs, training=training)
        return keras.ops.relu(features + around)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Each size divided by its stride, rounded up."""
        return SymmetricConv3D(self.filters, 1, self.strides).compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = ("filters", "kind", "strides", "momentum", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _full(filters: int, between: int, strides: Sequence[int], normalization: Callable[[], Any]) -> Any:
    del between, normalization
    return SymmetricConv3D(filters, 3, tuple(strides))


def _spatial(filters: int, between: int, strides: Sequence[int], normalization: Callable[[], Any]) -> Any:
    del between, normalization
    return SymmetricConv3D(filters, (1, 3, 3), tuple(strides))


def _factorized(filters: int, between: int, strides: Sequence[int], normalization: Callable[[], Any]) -> Any:
    time, height, width = strides
    return keras.Sequential(
        [
            SymmetricConv3D(between, (1, 3, 3), (1, height, width)),
            normalization(),
            keras.layers.ReLU(),
            SymmetricConv3D(filters, (3, 1, 1), (time, 1, 1)),
        ]
    )


CONVOLUTIONS = {"3d": _full, "2d": _spatial, "2plus1d": _factorized}
