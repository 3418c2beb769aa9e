"""Two convolutions in place of a network of ``keras.applications``: models in seconds."""

from typing import Any

import keras
import pytest

from tfrecords_tools.clips import SamplingSpec


def tiny_backbone(config: Any, sampling: SamplingSpec) -> keras.Model:
    """Stands in for ``backbones.frame_backbone``."""
    pictures = keras.Input((sampling.height, sampling.width, 3))
    maps = keras.layers.Rescaling(1 / 127.5, offset=-1)(pictures)
    for stride in (4, 2):
        maps = keras.layers.Conv2D(8, 3, stride, padding="same", activation="relu")(maps)
    features = keras.layers.GlobalAveragePooling2D(name="average")(maps)
    backbone = keras.Model(pictures, features, name="backbone")
    backbone.trainable = config.backbone_trainable
    return backbone


def use_tiny_backbone(patch: pytest.MonkeyPatch) -> None:
    """Has sentence models of frames built with it."""
    for module in ("four_stage_ctc", "resnet_bilstm_ctc"):
        patch.setattr(f"sign_keras.models.{module}.frame_backbone", tiny_backbone)
