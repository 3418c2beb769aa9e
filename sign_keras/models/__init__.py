"""Architectures, one per file, and the table that names them."""

import keras

from sign_keras.config import CNNLSTMConfig
from sign_keras.models.cnn_lstm import build_cnn_lstm
from tfrecords_tools.clips import SamplingSpec

ARCHITECTURES = {"cnn_lstm": build_cnn_lstm}


def build_model(config: CNNLSTMConfig, sampling: SamplingSpec, num_glosses: int) -> keras.Model:
    """Builds the architecture that a configuration names.

    Args:
        config: the configuration's ``model`` section.
        sampling: of the clips that the model takes.
        num_glosses: ``V``, the number of logits.

    Raises:
        UserError: weights that the configuration names cannot be had.
    """
    return ARCHITECTURES[config.architecture](config, sampling, num_glosses)


def input_names(config: CNNLSTMConfig, sampling: SamplingSpec) -> tuple[str, ...]:
    """Names of the inputs that the architecture takes; ``data`` makes what they say.

    Args:
        config: the configuration's ``model`` section.
        sampling: clips sampled at a fixed rate are padded, so they come with ``frame_mask``.
    """
    del config  # every architecture so far takes frames
    return ("frames",) if sampling.frame_rate is None else ("frames", "frame_mask")
