"""Architectures, one per file, and the table that names them."""

from pathlib import Path
from typing import Any

import keras

from sign_keras.config import ModelConfig
from sign_keras.models.c3d import build_c3d
from sign_keras.models.cnn_lstm import build_cnn_lstm
from sign_keras.models.frame_classifier import build_frame_classifier
from sign_keras.models.mc3 import build_mc3
from sign_keras.models.pretrained import load_pretrained
from sign_keras.models.r2plus1d import build_r2plus1d
from sign_keras.models.r3d import build_r3d
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.dataset_info import PixelStatistics

# Builders take (configuration, sampling, number of glosses, statistics of pixels), each a configuration of its own.
ARCHITECTURES: dict[str, Any] = {
    "cnn_lstm": build_cnn_lstm,
    "r3d": build_r3d,
    "r2plus1d": build_r2plus1d,
    "mc3": build_mc3,
    "c3d": build_c3d,
    "frame_classifier": build_frame_classifier,
}


def build_model(
    config: ModelConfig,
    sampling: SamplingSpec,
    num_glosses: int,
    pixel_statistics: PixelStatistics | None = None,
) -> keras.Model:
    """Builds the architecture that a configuration names.

    Args:
        config: the configuration's ``model`` section.
        sampling: of the clips that the model takes.
        num_glosses: ``V``, the number of logits.
        pixel_statistics: of the records (``DatasetInfo.pixel_statistics``), for architectures that normalise by
            them.

    Raises:
        UserError: weights that the configuration names cannot be had, or sizes or statistics do not do.
    """
    build = ARCHITECTURES[config.architecture]
    if config.weights == "none":
        return build(config, sampling, num_glosses, pixel_statistics)
    model = build(config.without_weights(), sampling, num_glosses, pixel_statistics)
    load_pretrained(model, Path(config.weights), "model.weights")
    return model


def input_names(config: ModelConfig, sampling: SamplingSpec) -> tuple[str, ...]:
    """Names of the inputs that the architecture takes; ``data`` makes what they say.

    Args:
        config: the configuration's ``model`` section.
        sampling: clips sampled at a fixed rate are padded, so they come with ``frame_mask``.
    """
    del config  # every architecture so far takes frames
    return ("frames",) if sampling.frame_rate is None else ("frames", "frame_mask")


def stage_names(model: keras.Model) -> list[str]:
    """The parts of a model that can be frozen or given a learning rate of their own, from input to logits.

    Each is a top-level layer that has weights: ``model.get_layer(name)``.
    """
    return [layer.name for layer in model.layers if layer.weights]
