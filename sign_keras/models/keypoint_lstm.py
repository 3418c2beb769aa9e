"""Keypoint LSTM: a stack of LSTM layers over keypoint features, dense layers, a linear head.

The network of many a sign-recognition tutorial, three LSTM layers of 64, 128 and 64 units with ReLU and dense
layers of 64 and 32 over raw coordinates, is one configuration of it: ``configs/mp_words_tutorial_lstm.yaml``.

Source: Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; Keras's own layer.
"""

import keras

from sign_keras.config import KeypointLSTMConfig
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.keypoint_rnn import build_keypoint_rnn


def build_keypoint_lstm(config: KeypointLSTMConfig, clip: ClipInput, num_glosses: int) -> keras.Model:
    """Builds the model; see ``build_keypoint_rnn``."""
    return build_keypoint_rnn(config, clip, num_glosses, keras.layers.LSTM, "keypoint_lstm")
