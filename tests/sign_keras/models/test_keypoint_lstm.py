"""The tutorials' network is one configuration of ours."""

import keras
import numpy as np

from sign_keras.config import load_config
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from tests.conftest import REPOSITORY
from tests.sign_keras.models.keypoint_architectures import clips
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

POINTS = np.r_[0:33, 501:543]  # of 543: pose, left hand, right hand


def tutorial(num_features: int, num_glosses: int) -> keras.Model:
    """As the tutorials write it, but for the softmax."""
    return keras.Sequential(
        [
            keras.Input((30, num_features)),
            keras.layers.LSTM(64, return_sequences=True, activation="relu"),
            keras.layers.LSTM(128, return_sequences=True, activation="relu"),
            keras.layers.LSTM(64, return_sequences=False, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(num_glosses),
        ]
    )


def test_the_tutorials_network_gives_the_same_logits_on_raw_coordinates():
    keras.utils.set_random_seed(0)
    config = load_config(REPOSITORY / "configs" / "mp_words_tutorial_lstm.yaml")
    features = config.model.features.model_copy(update={"coordinates": "xy"})
    section = config.model.model_copy(update={"features": features})
    ours = build_model(section, ClipInput(config.sampling, layout=MEDIAPIPE_HOLISTIC), 12)
    theirs = tutorial(150, 12)
    theirs.set_weights(ours.get_weights())
    keypoints = clips(3, 30)
    raw = np.nan_to_num(keypoints[:, :, POINTS, :2]).reshape(3, 30, 150)
    np.testing.assert_allclose(ours({"keypoints": keypoints}), theirs(raw), rtol=1e-4, atol=1e-5)


def test_the_tutorials_network_has_its_number_of_parameters():
    config = load_config(REPOSITORY / "configs" / "mp_words_tutorial_lstm.yaml")
    model = build_model(config.model, ClipInput(config.sampling, layout=MEDIAPIPE_HOLISTIC), 12)
    assert model.get_layer("features").output.shape == (None, 30, 225)
    assert model.count_params() == tutorial(225, 12).count_params() == 229_100
