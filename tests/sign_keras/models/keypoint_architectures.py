"""A minimal configuration of every architecture that takes keypoints, and clips of keypoints."""

from typing import Any

import keras
import numpy as np
import pydantic
import yaml

from sign_keras.config import ModelConfig
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

FRAGMENTS = {
    "keypoint_lstm": "{architecture: keypoint_lstm, units: [7, 6], dense_units: [5], activation: relu}",
    "keypoint_lstm_both_ways": """
        architecture: keypoint_lstm
        units: [4, 3]
        bidirectional: true
        input_norm: true
        layer_dropout: 0.2
        """,
    "keypoint_lstm_causal": """
        architecture: keypoint_lstm
        features: {causal: true, missing: hold}
        units: [7, 6]
        input_norm: true
        layer_dropout: 0.2
        """,
    "keypoint_gru": """
        architecture: keypoint_gru
        features: {causal: true}
        units: [6]
        pooling: mean
        dense_units: [5]
        """,
    "keypoint_transformer": "{architecture: keypoint_transformer, dim: 8, heads: 2, blocks: 2, positions: learned}",
    "keypoint_conv_transformer": """
        architecture: keypoint_conv_transformer
        dim: 8
        heads: 2
        conv_blocks: 2
        kernel_size: 5
        top_units: 12
        dropout_first_epoch: 3
        """,
    "keypoint_conv_transformer_same": """
        architecture: keypoint_conv_transformer
        dim: 8
        heads: 2
        stages: 1
        kernel_size: 4
        padding: same
        channel_attention: false
        normalization: layer
        pooling: attention
        top_units: 0
        """,
    "keypoint_conv_causal": """
        architecture: keypoint_conv_transformer
        causal: true
        features: {causal: true, missing: hold, differences: [1, 3]}
        dim: 8
        stages: 1
        conv_blocks: 3
        transformer_blocks: 0
        kernel_size: 5
        top_units: 12
        """,
}
CAUSAL = ("keypoint_lstm_causal", "keypoint_gru", "keypoint_conv_causal")
EVEN = SamplingSpec(num_frames=9, height=32, width=32)
PADDED = EVEN.model_copy(update={"frame_rate": 30.0})
SINGLE = EVEN.model_copy(update={"num_frames": 1})
NUM_GLOSSES = 5
HAND_GROUPS = ("left_hand", "right_hand")


def settings(name: str, **changes: Any) -> ModelConfig:
    """The configuration of ``FRAGMENTS``, changed."""
    values = yaml.safe_load(FRAGMENTS[name]) | changes
    config: ModelConfig = pydantic.TypeAdapter(ModelConfig).validate_python(values)
    return config


def build(name: str, sampling: SamplingSpec = PADDED, **changes: Any) -> keras.Model:
    return build_model(settings(name, **changes), ClipInput(sampling, layout=MEDIAPIPE_HOLISTIC), NUM_GLOSSES)


def clips(count: int = 3, num_frames: int = PADDED.num_frames, seed: int = 0) -> np.ndarray:
    """``[count, T, 543, 3]`` float32: points that wander about places of their own, some hands not found."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.2, 0.8, (count, 1, len(MEDIAPIPE_HOLISTIC.names), 3))
    keypoints = places + 0.02 * rng.normal(size=(count, num_frames, 1, 3)).cumsum(axis=1)
    for group in HAND_GROUPS:
        missing = rng.random((count, num_frames)) < 0.3
        keypoints[:, :, MEDIAPIPE_HOLISTIC.group_slices[group]][missing] = np.nan
    return keypoints.astype(np.float32)


def with_mask(keypoints: np.ndarray, lengths: list[int]) -> dict[str, np.ndarray]:
    """Inputs of a model whose clips are padded behind their first ``lengths`` frames."""
    return {"keypoints": keypoints, "frame_mask": np.arange(keypoints.shape[1]) < np.array(lengths)[:, None]}


def lively(model: keras.Model) -> keras.Model:
    """Fresh batch normalisation in evaluation mode lets nearly nothing through: give it real statistics."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    num_frames = model.input["keypoints"].shape[1]
    inputs = with_mask(clips(6, num_frames, seed=1), [num_frames] * 6)
    model({name: inputs[name] for name in model.input}, training=True)
    return model
