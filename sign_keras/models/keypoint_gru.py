"""Keypoint GRU: a stack of GRU layers over keypoint features; three quarters of an LSTM's weights.

Source: Cho et al. 2014, arXiv:1406.1078; Keras's own layer (``reset_after``, as cuDNN has it).
"""

import keras

from sign_keras.config import KeypointGRUConfig
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.keypoint_rnn import build_keypoint_rnn


def build_keypoint_gru(config: KeypointGRUConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model; see ``build_keypoint_rnn``."""
    return build_keypoint_rnn(config, clip, num_glosses, keras.layers.GRU, "keypoint_gru")
