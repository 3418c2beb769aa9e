"""CNN-LSTM: MobileNetV2 on every frame, LSTM over time, linear head.

Source: the LRCN of Donahue et al. 2015, arXiv:1411.4389 (a CNN on each frame, an LSTM over its features), with
MobileNetV2 for the CNN and the last state, not the mean of all, for the decision.
"""

import keras

from sign_keras.config import CNNLSTMConfig
from sign_keras.models.backbones import build_backbone
from sign_keras.models.heads import classification_head
from sign_keras.models.layers import FrameWise
from tfrecords_tools.clips import SamplingSpec


def build_cnn_lstm(config: CNNLSTMConfig, sampling: SamplingSpec, num_glosses: int) -> keras.Model:
    """Builds the model.

    Args:
        config: see ``CNNLSTMConfig``.
        sampling: of the clips it takes.
        num_glosses: ``V``.

    Returns:
        A model from ``{"frames": [B, T, H, W, 3] uint8}``, and ``"frame_mask": [B, T] bool`` (true = real frame)
        where the sampling pads, to float32 logits ``[B, V]``.

    Raises:
        UserError: the backbone's weights cannot be had.
    """
    # Layers
    backbone = build_backbone(
        config.backbone,
        sampling.height,
        sampling.width,
        width_multiplier=config.backbone_width,
        weights=config.backbone_weights,
    )
    backbone.trainable = config.backbone_trainable

    # Functional model
    frames = keras.Input((sampling.num_frames, sampling.height, sampling.width, 3), dtype="uint8", name="frames")
    inputs = {"frames": frames}
    mask = None
    if sampling.frame_rate is not None:
        mask = inputs["frame_mask"] = keras.Input((sampling.num_frames,), dtype="bool", name="frame_mask")
    features = FrameWise(backbone, name="frame_features")(frames)  # [B, T, D]
    features = keras.layers.Dropout(config.dropout, name="feature_dropout")(features)
    state = keras.layers.LSTM(config.lstm_units, name="lstm")(features, mask=mask)  # [B, units]
    logits = classification_head(state, num_glosses, config.dropout)
    return keras.Model(inputs, logits, name="cnn_lstm")
