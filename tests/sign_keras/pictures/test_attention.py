import keras
import numpy as np
import pytest

from sign_keras.models.layers import AttentionPooling
from sign_keras.models.transformer import TransformerBlock
from sign_keras.pictures.attention import attention_maps

FRAMES, REAL, FEATURES = 6, 4, 8


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    values = keras.Input((FRAMES, FEATURES), name="keypoints")
    mask = keras.Input((FRAMES,), dtype="bool", name="frame_mask")
    block = TransformerBlock(2, name="transformer1")
    pooling = AttentionPooling(4, name="attention_pooling")
    pooled = pooling(block(values, mask=mask), mask=mask)
    model = keras.Model({"keypoints": values, "frame_mask": mask}, keras.layers.Dense(3)(pooled))
    pooling.score.kernel.assign(keras.random.normal(pooling.score.kernel.shape, seed=1))
    return model


@pytest.fixture(scope="module")
def inputs() -> dict[str, np.ndarray]:
    values = np.random.default_rng(0).normal(size=(1, FRAMES, FEATURES)).astype(np.float32)
    return {"keypoints": values, "frame_mask": np.arange(FRAMES)[None] < REAL}


def test_maps_are_what_the_layers_weigh_by_without_padding(model, inputs):
    block, pooling = attention_maps(model, inputs, REAL)
    assert (block.layer, block.weights.shape) == ("transformer1", (REAL, REAL))
    assert (pooling.layer, pooling.weights.shape) == ("attention_pooling", (REAL,))
    assert block.weights.sum(axis=1) == pytest.approx(np.ones(REAL), abs=1e-5)
    layer = model.get_layer("transformer1")
    normed = layer.attention_norm(inputs["keypoints"])
    mask = inputs["frame_mask"][:, None]
    _, scores = layer.attention(normed, normed, attention_mask=mask, return_attention_scores=True)
    assert block.weights == pytest.approx(np.asarray(scores)[0, :, :REAL, :REAL].mean(axis=0), abs=1e-6)


def test_pooling_by_the_weights_shown_gives_what_the_layer_gives(model, inputs):
    weights = attention_maps(model, inputs, REAL)[1].weights
    seen = keras.Model(model.input, model.get_layer("transformer1").output)(inputs, training=False)
    by_hand = weights @ np.asarray(seen)[0, :REAL]
    pooled = model.get_layer("attention_pooling")(seen, mask=inputs["frame_mask"])
    assert by_hand == pytest.approx(np.asarray(pooled)[0], abs=1e-5)
    assert weights.max() > 1.05 / REAL  # not all the same, or the test could not fail


def test_looking_changes_nothing(model, inputs):
    before = np.asarray(model(inputs, training=False))
    attention_maps(model, inputs, REAL)
    assert np.array_equal(np.asarray(model(inputs, training=False)), before)
    assert np.array_equal(model.predict_on_batch(inputs).shape, before.shape)


def test_a_model_without_attention_has_none(inputs):
    values = keras.Input((FRAMES, FEATURES), name="keypoints")
    assert attention_maps(keras.Model({"keypoints": values}, keras.layers.Dense(2)(values)), inputs, REAL) == []
