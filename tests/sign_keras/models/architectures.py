"""A minimal configuration of every architecture, as a config file would hold it, and clips for them."""

from typing import Any

import keras
import numpy as np
import pydantic
import yaml

from sign_keras.config import ModelConfig
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.dataset_info import PixelStatistics

FRAGMENTS = {
    "cnn_lstm": """
        architecture: cnn_lstm
        backbone_width: 0.35
        backbone_weights: none
        backbone_trainable: true
        lstm_units: 8
        """,
    "r3d": "{architecture: r3d, depth: 10, width: 4}",
    "r3d_preserving_time": "{architecture: r3d, depth: 10, width: 4, preserve_time: true, pooling: attention}",
    "r2plus1d": "{architecture: r2plus1d, depth: 10, width: 4, normalization: kinetics}",
    "mc3": "{architecture: mc3, depth: 10, width: 4}",
    "c3d": "{architecture: c3d, width: 4, hidden_units: 16}",
    "c3d_preserving_time": "{architecture: c3d, width: 4, preserve_time: true, batch_norm: true}",
    "frame_classifier": """
        architecture: frame_classifier
        backbone: mobilenet_v2
        backbone_width: 0.35
        backbone_weights: none
        backbone_trainable: true
        """,
}
STATISTICS = PixelStatistics(mean=(120.0, 110.0, 100.0), standard_deviation=(60.0, 50.0, 40.0))
EVEN = SamplingSpec(num_frames=5, height=32, width=48)
PADDED = EVEN.model_copy(update={"frame_rate": 10.0})
SINGLE = EVEN.model_copy(update={"num_frames": 1})
NUM_GLOSSES = 5


def settings(name: str, **changes: Any) -> ModelConfig:
    """The configuration of ``FRAGMENTS``, changed."""
    values = yaml.safe_load(FRAGMENTS[name]) | changes
    config: ModelConfig = pydantic.TypeAdapter(ModelConfig).validate_python(values)
    return config


def build(name: str, sampling: SamplingSpec = EVEN, num_glosses: int = NUM_GLOSSES, **changes: Any) -> keras.Model:
    return build_model(settings(name, **changes), ClipInput(sampling, STATISTICS), num_glosses)


def clips(sampling: SamplingSpec = EVEN, count: int = 2) -> np.ndarray:
    """``[count, T, H, W, 3]`` uint8 noise, each clip of a brightness of its own."""
    rng = np.random.default_rng(0)
    shape = (count, sampling.num_frames, sampling.height, sampling.width, 3)
    return (rng.integers(0, 156, shape) + 100 * rng.random((count, 1, 1, 1, 1))).astype(np.uint8)


def lively(model: keras.Model) -> keras.Model:
    """Fresh batch normalisation in evaluation mode lets nearly nothing through: give it real statistics."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    inputs = {}
    for tensor in model.inputs:
        shape = (4, *tensor.shape[1:])
        rng = np.random.default_rng(1)
        inputs[tensor.name] = (
            np.ones(shape, bool) if tensor.dtype == "bool" else rng.integers(0, 256, shape, np.uint8)
        )
    model(inputs, training=True)
    return model
