"""Transformer layers over time: frames look at each other, wherever they are in the clip."""

from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="sign_keras")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a feed-forward layer, each normalised before and added after: ``[B, T, D]`` to the same.

    Frames that the mask leaves out are not looked at. Whole paths are dropped now and then (stochastic depth, Huang
    et al. 2016, arXiv:1603.09382).

    Source: Vaswani et al. 2017, arXiv:1706.03762, normalised before as Xiong et al. 2020, arXiv:2002.04745. With
    batch normalisation, without biases and with ``expansion`` 2 it is ``TransformerBlock`` of the first place of
    Google's Isolated Sign Language Recognition on Kaggle, 2023 (hoyso48), but that scores here are divided by the
    root of a head's width and there by that of ``D``.

    Args:
        num_heads: divides ``D``.
        expansion: width of the feed-forward layer, as a multiple of ``D``.
        normalization: ``batch`` or ``layer``.
        activation: of the feed-forward layer.
        attention_dropout: share of the attention's weights dropped in training.
        drop_path: share of clips for which a path is dropped in training.
        batch_norm_momentum: share of the old statistics that a step keeps.
        use_bias: of all dense layers.
    """

    def __init__(
        self,
        num_heads: int,
        *,
        expansion: int = 2,
        normalization: str = "layer",
        activation: str = "silu",
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        batch_norm_momentum: float = 0.95,
        use_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.options: dict[str, Any] = {
            "num_heads": num_heads,
            "expansion": expansion,
            "normalization": normalization,
            "activation": activation,
            "attention_dropout": attention_dropout,
            "drop_path": drop_path,
            "batch_norm_momentum": batch_norm_momentum,
            "use_bias": use_bias,
        }
        self.supports_masking = True
        self.attention_norm = _norm(normalization, batch_norm_momentum, "attention_norm")
        self.feed_forward_norm = _norm(normalization, batch_norm_momentum, "feed_forward_norm")
        self.attention_drop = keras.layers.Dropout(drop_path, noise_shape=(None, 1, 1), name="attention_drop")
        self.feed_forward_drop = keras.layers.Dropout(drop_path, noise_shape=(None, 1, 1), name="feed_forward_drop")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the layers within.

        Raises:
            ValueError: the heads do not divide the features.
        """
        num_features, num_heads = input_shape[-1], self.options["num_heads"]
        if num_features is None or num_features % num_heads:
            raise ValueError(f"{self.name}: {num_heads} heads do not divide {num_features} features")
        use_bias = self.options["use_bias"]
        wide = (*input_shape[:-1], num_features * self.options["expansion"])
        self.attention = keras.layers.MultiHeadAttention(
            num_heads,
            num_features // num_heads,
            dropout=self.options["attention_dropout"],
            use_bias=use_bias,
            name="attention",
        )
        self.widen = keras.layers.Dense(
            wide[-1], activation=self.options["activation"], use_bias=use_bias, name="widen"
        )
        self.narrow = keras.layers.Dense(num_features, use_bias=use_bias, name="narrow")
        self.attention.build(input_shape, input_shape)
        for layer in (self.attention_norm, self.feed_forward_norm, self.widen):
            layer.build(input_shape)
        self.narrow.build(wide)
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None, training: bool | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool."""
        looked_at = None if mask is None else mask[:, None]  # [B, 1, T], the same for every frame that looks
        features = self._normalized(self.attention_norm, inputs, mask, training)
        features = self.attention(features, features, attention_mask=looked_at, training=training)
        inputs = inputs + self.attention_drop(features, training=training)
        features = self._normalized(self.feed_forward_norm, inputs, mask, training)
        features = self.narrow(self.widen(features))
        return inputs + self.feed_forward_drop(features, training=training)

    def _normalized(self, norm: keras.layers.Layer, inputs: Any, mask: Any | None, training: bool | None) -> Any:
        if self.options["normalization"] == "layer":
            return norm(inputs)
        return norm(inputs, mask=mask, training=training)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), **self.options}


def _norm(kind: str, momentum: float, name: str) -> keras.layers.Layer:
    if kind == "layer":
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name)
    return keras.layers.BatchNormalization(momentum=momentum, name=name)


@keras.saving.register_keras_serializable(package="sign_keras")
class Positions(keras.layers.Layer):
    """Adds what tells a frame its place in the clip: ``[B, T, D]`` to the same.

    Args:
        kind: ``learned``, a vector for each place; or ``sinusoidal``, sines and cosines of D / 2 frequencies, as in
            Vaswani et al. 2017, arXiv:1706.03762, section 3.5, but all sines before all cosines.
    """

    def __init__(self, kind: str = "sinusoidal", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """A vector for each of the ``T`` places."""
        _, num_frames, num_features = input_shape
        if num_frames is None or num_features is None:
            raise ValueError(f"{self.name}: the numbers of frames and features must be known (found {input_shape})")
        if self.kind == "learned":
            self.vectors = self.add_weight(
                shape=(num_frames, num_features),
                initializer=keras.initializers.RandomNormal(0.0, 0.02),
                name="vectors",
            )
        else:
            self.vectors = sinusoids(num_frames, num_features)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Sum of both."""
        return inputs + keras.ops.cast(self.vectors, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "kind": self.kind}


def sinusoids(num_frames: int, num_features: int) -> np.ndarray:
    """``[T, D]`` float32; wavelengths from 2 pi to 10,000 times that."""
    frequencies = 10_000.0 ** -(np.arange(0, num_features, 2) / num_features)
    angles = np.arange(num_frames)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :num_features].astype(np.float32)
