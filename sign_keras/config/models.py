"""One section for each architecture."""

from typing import Literal

import pydantic

from tfrecords_tools.settings import Settings


class CNNLSTMConfig(Settings):
    """MobileNetV2 on every frame, LSTM over time.

    Attributes:
        backbone: ``mobilenet_v2``, or ``mobilenet_v2_points``, which also says where things are.
        backbone_width: MobileNetV2's width multiplier.
        backbone_weights: ``imagenet`` (downloaded by Keras), ``none``, or a ``.weights.h5`` file.
        backbone_trainable: False freezes it, batch normalisation in evaluation mode included.
        motion_lags: also feed the LSTM how features changed since this many frames before; with
            ``mobilenet_v2_points`` the change of the points' places alone.
        lstm_units: width of the LSTM.
        pooling: decide by the LSTM's ``last`` state, or by the ``mean`` of all.
        dropout: before the LSTM and before the head.
    """

    architecture: Literal["cnn_lstm"]
    backbone: Literal["mobilenet_v2", "mobilenet_v2_points"] = "mobilenet_v2"
    backbone_width: float = pydantic.Field(1.0, gt=0, le=1.4)
    backbone_weights: str = "imagenet"
    backbone_trainable: bool
    motion_lags: tuple[pydantic.PositiveInt, ...] = ()
    lstm_units: int = pydantic.Field(ge=1)
    pooling: Literal["last", "mean"] = "last"
    dropout: float = pydantic.Field(0.3, ge=0, lt=1)
