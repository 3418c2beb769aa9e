"""CNN-LSTM: a CNN on every frame, LSTM over time, linear head.

Source: the LRCN of Donahue et al. 2015, arXiv:1411.4389 (a CNN on each frame, an LSTM over its features), with
any backbone for the CNN; the decision by the last state or, as there, by the mean of all. The LSTM reads forwards:
with ``causal`` the model takes a stream frame by frame (``models.streaming``), the CNN looking at each frame once.
"""

import keras

from sign_keras.config import CNNLSTMConfig
from sign_keras.models.backbones import NUM_POINTS, frame_backbone
from sign_keras.models.clip_inputs import ClipInput, clip_inputs
from sign_keras.models.heads import classification_head
from sign_keras.models.layers import FrameWise
from sign_keras.models.motion_beside import MotionBeside
from sign_keras.models.time_mean import TimeMean


def build_cnn_lstm(config: CNNLSTMConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model.

    Args:
        config: see ``CNNLSTMConfig``.
        clip: the clips it takes.
        num_glosses: ``V``.

    Returns:
        A model from ``{"frames": [B, T, H, W, 3] uint8}``, and ``"frame_mask": [B, T] bool`` (true = real frame)
        where the sampling pads, to float32 logits ``[B, V]``.

    Raises:
        UserError: the backbone's weights cannot be had.
    """
    # Layers
    backbone = frame_backbone(config, clip.sampling)

    # Functional model
    inputs = clip_inputs(clip.sampling)
    mask = inputs.get("frame_mask")
    features = FrameWise(backbone, name="frame_features")(inputs["frames"])  # [B, T, D]
    if config.motion_lags:
        num_places = 2 * NUM_POINTS if config.backbone == "mobilenet_v2_points" else None
        features = MotionBeside(config.motion_lags, num_places, name="motion")(features)
    features = keras.layers.Dropout(config.dropout, name="feature_dropout")(features)
    by_frame = config.pooling == "mean"
    state = keras.layers.LSTM(config.lstm_units, return_sequences=by_frame, name="lstm")(features, mask=mask)
    if by_frame:
        state = TimeMean(name="mean_state")(state, mask=mask)  # [B, units]
    logits = classification_head(state, num_glosses, config.dropout)
    return keras.Model(inputs, logits, name="cnn_lstm")
