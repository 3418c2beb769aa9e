import keras
import numpy as np
import pytest

from sign_keras.models.transformer import Positions, TransformerBlock, sinusoids

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 5, 8)).astype(np.float32)
MASK = np.arange(5) < np.array([[5], [3]])


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def test_block_by_its_equations():
    """Attention of two heads with masked keys, written out in NumPy."""
    keras.utils.set_random_seed(0)
    block = TransformerBlock(2, expansion=3, normalization="batch", activation="relu", use_bias=False)
    block.build(FEATURES.shape)
    query, key, value, output = (np.array(weight) for weight in block.attention.get_weights())
    wide, narrow = block.widen.get_weights()[0], block.narrow.get_weights()[0]
    normalized = FEATURES / np.sqrt(1 + 1e-3)  # fresh statistics
    q, k, v = (np.einsum("btd,dhe->bhte", normalized, weight) for weight in (query, key, value))
    scores = np.einsum("bhte,bhse->bhts", q, k) / np.sqrt(4)
    scores = np.where(MASK[:, None, None], scores, -np.inf)
    attended = np.einsum("bhts,bhse->bthe", softmax(scores), v)
    features = FEATURES + np.einsum("bthe,hed->btd", attended, output)
    expected = features + np.maximum(features / np.sqrt(1 + 1e-3) @ wide, 0) @ narrow
    np.testing.assert_allclose(np.asarray(block(FEATURES, mask=MASK))[MASK], expected[MASK], atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_frames_that_are_masked_are_not_looked_at(normalization, dropout):
    block = TransformerBlock(4, normalization=normalization, attention_dropout=dropout)
    other = FEATURES.copy()
    other[1, 3:] = 50
    first, second = (np.asarray(block(features, mask=MASK)) for features in (FEATURES, other))
    np.testing.assert_allclose(first[MASK], second[MASK], atol=1e-6)
    np.testing.assert_allclose(first[1, :3], block(FEATURES[1:, :3])[0], atol=1e-5)


def test_heads_have_to_divide_the_features():
    with pytest.raises(ValueError, match="3 heads do not divide 8 features"):
        TransformerBlock(3).build(FEATURES.shape)


def test_sinusoids_by_hand():
    table = sinusoids(3, 4)
    np.testing.assert_allclose(table[0], [0, 0, 1, 1])
    np.testing.assert_allclose(table[2], [np.sin(2), np.sin(0.02), np.cos(2), np.cos(0.02)], atol=1e-6)
    assert sinusoids(4, 5).shape == (4, 5)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_positions_tell_equal_frames_apart(kind):
    layer = Positions(kind)
    found = np.asarray(layer(np.zeros((2, 5, 8), np.float32)))
    np.testing.assert_array_equal(found[0], found[1])
    assert len(np.unique(found[0], axis=0)) == 5
    assert len(layer.trainable_weights) == (1 if kind == "learned" else 0)
    assert Positions.from_config(layer.get_config()).kind == kind


def test_configuration_goes_round():
    block = TransformerBlock(2, expansion=1, normalization="batch", drop_path=0.1, use_bias=False)
    again = TransformerBlock.from_config(block.get_config())
    assert again.get_config() == block.get_config()
    for built in (block, again):
        built.build(FEATURES.shape)
    again.set_weights(block.get_weights())
    np.testing.assert_allclose(block(FEATURES, mask=MASK), again(FEATURES, mask=MASK))
