"""What a model's head sees: the embedding of a clip, and the head itself."""

from typing import Any

import keras
import numpy as np

HEAD = "logits"
LOGITS, EMBEDDING = "logits", "embedding"


def members(model: keras.Model) -> list[keras.Model]:
    """The models whose logits a model averages; itself where it is no ensemble."""
    if any(layer.name == HEAD for layer in model.layers):
        return [model]
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]


def heads(model: keras.Model) -> list[keras.layers.Dense]:
    """The layers that make logits of embeddings, one for each of ``members``."""
    return [member.get_layer(HEAD) for member in members(model)]


def joint_head(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel ``[D, V]`` and bias ``[V]`` that make a model's logits of ``with_embedding``'s embedding."""
    found = heads(model)
    kernels, biases = zip(*(head.get_weights() for head in found), strict=True)
    return np.concatenate(kernels) / len(found), np.mean(biases, axis=0)


def put_head(model: keras.Model, target: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Gives a model all weights of another, and a head with more glosses.

    Args:
        model: whose weights.
        target: of the same architecture, with as many glosses as the head.
        kernel: ``[D, V]``, as in ``joint_head``.
        bias: ``[V]`` likewise; its first are ``model``'s own.
    """
    pairs = list(zip(members(model), members(target), strict=True))
    own, place = heads(model)[0].units, 0
    for source, member in pairs:
        for layer in source.layers:
            if layer.name != HEAD:
                member.get_layer(layer.name).set_weights(layer.get_weights())
        old_kernel, old_bias = source.get_layer(HEAD).get_weights()
        added = kernel[place : place + len(old_kernel), own:] * len(pairs)
        member.get_layer(HEAD).set_weights(
            [np.concatenate([old_kernel, added], axis=1), np.concatenate([old_bias, bias[own:]])]
        )
        place += len(old_kernel)


def with_embedding(model: keras.Model) -> keras.Model:
    """The same model with a second output.

    Args:
        model: from the table of architectures.

    Returns:
        A model from the same inputs to ``logits`` ``[B, V]`` and ``embedding`` ``[B, D]``. Logits are linear in the
        embedding; an ensemble's embedding is those of its members, side by side.
    """
    parts = [_with_embedding(member) for member in members(model)]
    if len(parts) == 1:
        return parts[0]
    outputs = [part(model.input) for part in parts]
    return keras.Model(
        model.input,
        {
            LOGITS: keras.layers.Average()([output[LOGITS] for output in outputs]),
            EMBEDDING: keras.layers.Concatenate()([output[EMBEDDING] for output in outputs]),
        },
    )


def _with_embedding(model: keras.Model) -> keras.Model:
    features: Any = model.get_layer(HEAD).input
    if (
        len(features.shape) == 3
    ):  # a head on every frame, [B, T, D]: the mean of its logits is that of the mean frame
        mask = model.input.get("frame_mask") if isinstance(model.input, dict) else None
        features = keras.layers.GlobalAveragePooling1D(dtype="float32")(features, mask=mask)
    return keras.Model(model.input, {LOGITS: model.output, EMBEDDING: features})
