"""Heads: features to logits."""

from typing import Any

import keras

from sign_keras.models.late_dropout import LateDropout
from sign_keras.models.layers import AttentionPooling
from sign_keras.models.time_mean import TimeMean

# The layers below, and those of stages with numbers for each gloss, by the names that they carry in every model:
# what a file of another task's weights lacks.
HEAD_LAYERS = ("attention_pooling", "logits", "frame_classes", "text")


def classification_head(features: Any, num_glosses: int, dropout: float, dropout_first_epoch: int = 1) -> Any:
    """Dropout and a linear layer: ``[B, D]`` to unnormalised float32 logits ``[B, V]``.

    Args:
        features: to decide by.
        num_glosses: ``V``.
        dropout: share of features dropped in training.
        dropout_first_epoch: from when on, counted from 1; see ``LateDropout``.
    """
    return _head(features, num_glosses, dropout, dropout_first_epoch)


def sentence_head(features: Any, num_glosses: int, dropout: float, dropout_first_epoch: int = 1) -> Any:
    """The same on every frame, for CTC: ``[B, T, D]`` to ``[B, T, V + 1]``, the blank first."""
    return _head(features, num_glosses + 1, dropout, dropout_first_epoch)


def _head(features: Any, num_logits: int, dropout: float, dropout_first_epoch: int) -> Any:
    if dropout_first_epoch > 1:
        features = LateDropout(dropout, dropout_first_epoch, name="head_dropout")(features)
    else:
        features = keras.layers.Dropout(dropout, name="head_dropout")(features)
    # Logits in float32 whatever the precision policy: softmax in half precision loses the small classes.
    return keras.layers.Dense(num_logits, dtype="float32", name="logits")(features)


def pool_clip(features: Any, pooling: str, frame_mask: Any | None, time_stride: int) -> Any:
    """Feature maps ``[B, T', H', W', C]`` to one vector a clip, ``[B, C]``.

    Args:
        features: whose T' moments are ``time_stride`` frames apart.
        pooling: over time, after the mean over space: ``mean`` or ``attention``.
        frame_mask: ``[B, T]`` bool; a moment is left out where its frame is none.
        time_stride: from T to T'.
    """
    moments = keras.ops.mean(features, axis=(2, 3))  # [B, T', C]
    mask = None if frame_mask is None else frame_mask[:, ::time_stride]
    if pooling == "attention":
        return AttentionPooling(name="attention_pooling")(moments, mask=mask)
    return keras.layers.GlobalAveragePooling1D(name="mean_moment")(moments, mask=mask)


def pool_frames(features: Any, pooling: str, frame_mask: Any | None) -> Any:
    """Features of frames ``[B, T, D]`` to one vector a clip, ``[B, D]``.

    Args:
        features: of each frame.
        pooling: ``mean`` or ``attention``.
        frame_mask: ``[B, T]`` bool: the frames that count.
    """
    if pooling == "attention":
        return AttentionPooling(name="attention_pooling")(features, mask=frame_mask)
    return TimeMean(name="mean_moment")(features, mask=frame_mask)
