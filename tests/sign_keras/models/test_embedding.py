import keras
import numpy as np
import pytest

from sign_keras.config import Config
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.embedding import joint_head, put_head, with_embedding
from tfrecords_tools.clips import SamplingSpec

SAMPLING = SamplingSpec(num_frames=3, height=32, width=32, frame_rate=6.0)
BACKBONE = {"backbone_width": 0.35, "backbone_weights": "none", "backbone_trainable": True}
SECTIONS = {
    "cnn_lstm": {**BACKBONE, "lstm_units": 4},
    "frame_classifier": {**BACKBONE, "backbone": "mobilenet_v2"},
    "r3d": {"width": 4, "depth": 10, "normalization": "kinetics"},
}


def build(architecture, num_glosses=3):
    config = Config.model_validate(
        {
            "name": "tiny",
            "records": {"directory": "data"},
            "sampling": SAMPLING.model_dump(),
            "model": {"architecture": architecture, **SECTIONS[architecture]},
            "train": {"epochs": 1, "batch_size": 1, "learning_rate": 0.1},
        }
    )
    keras.utils.set_random_seed(1)
    return build_model(config.model, ClipInput(SAMPLING), num_glosses)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    mask = np.array([[True, True, False], [True, True, True]])
    return {"frames": rng.integers(0, 256, (2, 3, 32, 32, 3), np.uint8), "frame_mask": mask}


@pytest.mark.parametrize("architecture", SECTIONS)
def test_logits_are_the_head_of_the_embedding(architecture, inputs):
    model = build(architecture)
    found = with_embedding(model)(inputs, training=False)
    np.testing.assert_allclose(found["logits"], model(inputs, training=False), atol=1e-6)
    kernel, bias = joint_head(model)
    np.testing.assert_allclose(np.array(found["embedding"]) @ kernel + bias, found["logits"], atol=1e-4)


@pytest.mark.parametrize("architecture", ["cnn_lstm"])
def test_one_gloss_more_leaves_the_others_as_they_are(architecture, inputs):
    model, larger = build(architecture), build(architecture, 4)
    for weight in model.weights:
        weight.assign(weight + 0.01)
    kernel, bias = joint_head(model)
    column = np.arange(kernel.shape[0], dtype=np.float32) / 10
    put_head(model, larger, np.column_stack([kernel, column]), np.append(bias, 2.0))
    embedding = np.array(with_embedding(model)(inputs, training=False)["embedding"])
    logits = np.array(larger(inputs, training=False))
    np.testing.assert_allclose(logits[:, :3], model(inputs, training=False), atol=1e-5)
    np.testing.assert_allclose(logits[:, 3], embedding @ column + 2, atol=1e-4)
