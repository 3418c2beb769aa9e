"""Which frames a model attends to: the weights of its attention layers, as they are when it runs on a clip."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy import special

from sign_keras.models.layers import AttentionPooling
from sign_keras.models.transformer import TransformerBlock
from sign_keras.pictures.tapping import tapped


@dataclass(frozen=True)
class AttentionMap:
    """The attention of one layer over a clip.

    Attributes:
        layer: its name.
        weights: ``[L, L]`` float64: how much the moment of a row looks at that of a column, the mean over heads; or
            ``[L]``, of a pooling, how much each moment counts. Rows sum to 1. Padding is cut off.
    """

    layer: str
    weights: np.ndarray


def attention_maps(model: keras.Model, inputs: Mapping[str, np.ndarray], num_frames: int) -> list[AttentionMap]:
    """The attention of every layer that has one, from input to logits; empty where none has.

    Args:
        model: from the table of architectures.
        inputs: of one clip, ``[1, T, ...]`` each.
        num_frames: real ones of the T.
    """
    found: dict[str, np.ndarray] = {}
    total = next(iter(inputs.values())).shape[1]
    with contextlib.ExitStack() as stack:
        for layer in model.layers:
            if isinstance(layer, TransformerBlock):
                stack.enter_context(tapped(layer.attention, _scores_into(found, layer.name)))
            elif isinstance(layer, AttentionPooling):
                stack.enter_context(tapped(layer.score, _pooling_into(found, layer.name)))
        if not any(isinstance(layer, TransformerBlock | AttentionPooling) for layer in model.layers):
            return []
        model(dict(inputs), training=False)
    return [AttentionMap(name, _real(values, num_frames, total)) for name, values in found.items()]


def _scores_into(found: dict[str, np.ndarray], name: str) -> Any:
    def tap(call: Any, *arguments: Any, **keywords: Any) -> Any:
        outputs, scores = call(*arguments, **keywords, return_attention_scores=True)  # scores [1, heads, L, L]
        found[name] = np.asarray(scores, np.float64)[0].mean(axis=0)
        return outputs

    return tap


def _pooling_into(found: dict[str, np.ndarray], name: str) -> Any:
    def tap(call: Any, *arguments: Any, **keywords: Any) -> Any:
        scores = call(*arguments, **keywords)  # [1, L, 1], in front of mask and softmax
        found[name] = np.asarray(scores, np.float64)[0, :, 0]
        return scores

    return tap


def _real(values: np.ndarray, num_frames: int, total: int) -> np.ndarray:
    """Without padding. Moments may be fewer than frames: of every few, the first says whether they are real."""
    stride = total / len(values)
    kept = min(len(values), max(1, int(np.ceil(num_frames / stride))))
    if values.ndim == 1:
        return special.softmax(values[:kept])
    return values[:kept, :kept]
