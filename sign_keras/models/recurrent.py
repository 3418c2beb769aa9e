"""Recurrent layers over the frames of a sentence."""

from collections.abc import Sequence
from typing import Any

import keras


def recurrent_layers(
    features: Any, units: Sequence[int], dropout: float, mask: Any | None, *, both_ways: bool = True
) -> Any:
    """LSTMs, ``lstm1`` and on: ``[B, T, D]`` to the last one's ``[B, T, units]``, or twice as many both ways.

    Args:
        features: of each frame.
        units: of each layer, first to last.
        dropout: in front of each.
        mask: ``[B, T]`` bool: the frames that count.
        both_ways: whether each reads the clip both ways, each way with so many units.
    """
    for number, width in enumerate(units, start=1):
        if dropout:
            features = keras.layers.Dropout(dropout, name=f"lstm_dropout{number}")(features)
        recurrent: Any = keras.layers.LSTM(width, return_sequences=True, name=f"lstm{number}")
        if both_ways:
            recurrent = keras.layers.Bidirectional(recurrent, name=recurrent.name)
        features = recurrent(features, mask=mask)
    return features
