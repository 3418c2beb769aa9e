"""Heads: features to logits."""

from typing import Any

import keras


def classification_head(features: Any, num_glosses: int, dropout: float) -> Any:
    """Dropout and a linear layer: ``[B, D]`` to unnormalised float32 logits ``[B, V]``."""
    features = keras.layers.Dropout(dropout, name="head_dropout")(features)
    # Logits in float32 whatever the precision policy: softmax in half precision loses the small classes.
    return keras.layers.Dense(num_glosses, dtype="float32", name="logits")(features)
