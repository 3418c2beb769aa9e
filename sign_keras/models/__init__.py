"""Architectures, one per file, and the table that names them."""

from pathlib import Path
from typing import Any

import keras

from sign_keras.config import EnsembleConfig, KeypointModelSettings, ModelConfig
from sign_keras.models.c3d import build_c3d
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.cnn_lstm import build_cnn_lstm
from sign_keras.models.ensemble import average_models
from sign_keras.models.four_stage_ctc import build_four_stage_ctc
from sign_keras.models.frame_classifier import build_frame_classifier
from sign_keras.models.keypoint_conv_transformer import build_keypoint_conv_transformer
from sign_keras.models.keypoint_ctc import build_keypoint_ctc
from sign_keras.models.keypoint_gru import build_keypoint_gru
from sign_keras.models.keypoint_lstm import build_keypoint_lstm
from sign_keras.models.keypoint_transformer import build_keypoint_transformer
from sign_keras.models.mc3 import build_mc3
from sign_keras.models.pretrained import load_pretrained
from sign_keras.models.r2plus1d import build_r2plus1d
from sign_keras.models.r3d import build_r3d
from sign_keras.models.resnet_bilstm_ctc import build_resnet_bilstm_ctc
from tfrecords_tools.clips import SamplingSpec

# Builders take (configuration, ClipInput, number of glosses), each a configuration of its own.
ARCHITECTURES: dict[str, Any] = {
    "cnn_lstm": build_cnn_lstm,
    "r3d": build_r3d,
    "r2plus1d": build_r2plus1d,
    "mc3": build_mc3,
    "c3d": build_c3d,
    "frame_classifier": build_frame_classifier,
    "keypoint_lstm": build_keypoint_lstm,
    "keypoint_gru": build_keypoint_gru,
    "keypoint_transformer": build_keypoint_transformer,
    "keypoint_conv_transformer": build_keypoint_conv_transformer,
    "keypoint_ctc": build_keypoint_ctc,
    "resnet_bilstm_ctc": build_resnet_bilstm_ctc,
    "four_stage_ctc": build_four_stage_ctc,
}


def build_model(config: ModelConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the architecture that a configuration names.

    Args:
        config: the configuration's ``model`` section.
        clip: the clips that the model takes.
        num_glosses: ``V``, the number of logits; for sentences there is one more, the blank's.

    Raises:
        UserError: weights that the configuration names cannot be had, or sizes, statistics or keypoints do not do.
    """
    if isinstance(config, EnsembleConfig):
        return average_models([build_model(member, clip, num_glosses) for member in config.members])
    build = ARCHITECTURES[config.architecture]
    if config.weights == "none":
        return build(config, clip, num_glosses)
    model = build(config.without_weights(), clip, num_glosses)
    load_pretrained(model, Path(config.weights), "model.weights")
    return model


def input_names(config: ModelConfig, sampling: SamplingSpec) -> tuple[str, ...]:
    """Names of the inputs that the architecture takes; ``data`` makes what they say.

    Args:
        config: the configuration's ``model`` section.
        sampling: clips sampled at a fixed rate are padded, so they come with ``frame_mask``.
    """
    if isinstance(config, EnsembleConfig):
        return input_names(config.members[0], sampling)
    name = "keypoints" if isinstance(config, KeypointModelSettings) else "frames"
    return (name,) if sampling.frame_rate is None else (name, "frame_mask")


def stage_names(model: keras.Model) -> list[str]:
    """The parts of a model that can be frozen or given a learning rate of their own, from input to logits.

    Each is a top-level layer that has weights: ``model.get_layer(name)``.
    """
    return [layer.name for layer in model.layers if layer.weights]
