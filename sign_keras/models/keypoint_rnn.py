"""Recurrent layers over keypoint features, in the one form that LSTM and GRU share."""

from typing import Any

import keras

from sign_keras.config import KeypointRNNSettings
from sign_keras.models.clip_inputs import ClipInput, keypoint_inputs
from sign_keras.models.features.layer import KeypointFeatures
from sign_keras.models.heads import classification_head
from sign_keras.models.time_mean import TimeMean


def build_keypoint_rnn(
    config: KeypointRNNSettings, clip: ClipInput, num_glosses: int, layer: type[keras.layers.RNN], name: str
) -> keras.Model:
    """Builds features, recurrent layers, dense layers and head.

    Args:
        config: of the architecture.
        clip: the clips it takes.
        num_glosses: ``V``.
        layer: ``keras.layers.LSTM`` or ``keras.layers.GRU``.
        name: of the model; of its recurrent layers with their number, from 1, behind.

    Returns:
        A model from the inputs of ``keypoint_inputs`` to float32 logits ``[B, V]``.

    Raises:
        UserError: the records hold no keypoints, or not those that the features want.
    """
    inputs, layout = keypoint_inputs(clip)
    mask = inputs.get("frame_mask")
    features = KeypointFeatures(config.features, layout, name="features")(inputs["keypoints"], mask=mask)
    if config.input_norm:
        features = keras.layers.BatchNormalization(name="input_norm")(features, mask=mask)
    for number, units in enumerate(config.units, start=1):
        is_last = number == len(config.units)
        by_frame = not is_last or config.pooling == "mean"
        recurrent: Any = layer(
            units, activation=config.activation, return_sequences=by_frame, name=f"{layer.__name__.lower()}{number}"
        )
        if config.bidirectional:
            recurrent = keras.layers.Bidirectional(recurrent, name=recurrent.name)
        features = recurrent(features, mask=mask)
        if config.layer_dropout and not is_last:
            features = keras.layers.Dropout(config.layer_dropout, name=f"dropout{number}")(features)
    if config.pooling == "mean":
        features = TimeMean(name="mean_state")(features, mask=mask)  # [B, units]
    for number, units in enumerate(config.dense_units, start=1):
        features = keras.layers.Dense(units, activation="relu", name=f"dense{number}")(features)
    logits = classification_head(features, num_glosses, config.dropout, config.dropout_first_epoch)
    return keras.Model(inputs, logits, name=name)
