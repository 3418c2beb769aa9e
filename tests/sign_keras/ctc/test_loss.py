import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.ctc.loss import can_carry, ctc_losses
from tests.sign_keras.ctc.brute_force import padded_batch, sentence_probabilities

FRAMES = np.array([5, 3, 4, 4])
SENTENCES = ([0, 0, 2], [2], [1, 0], [])
GLOSS_IDS = np.full((4, 3), -1)
for number, sentence in enumerate(SENTENCES):
    GLOSS_IDS[number, : len(sentence)] = sentence
NUM_GLOSSES = np.array([len(sentence) for sentence in SENTENCES])


def logits_of(seed: int, padding: float = 1e4) -> np.ndarray:
    logits = padded_batch(seed, num_frames=tuple(FRAMES))
    return np.nan_to_num(logits, nan=padding).astype(np.float32)


def gradients(logits: np.ndarray, gloss_ids: np.ndarray, num_frames: np.ndarray, num_glosses: np.ndarray):
    """The sum of the losses and its gradient, within a graph."""

    @tf.function
    def compute(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(values)
            loss = tf.reduce_sum(ctc_losses(values, gloss_ids, num_frames, num_glosses))
        return loss, tape.gradient(loss, values)

    return [result.numpy() for result in compute(tf.constant(logits))]


@pytest.mark.parametrize("seed", range(3))
def test_loss_is_that_of_all_paths(seed: int):
    logits = logits_of(seed)
    expected = [
        -np.log(sentence_probabilities(clip[:length])[tuple(sentence)]) / max(len(sentence), 1)
        for clip, length, sentence in zip(logits, FRAMES, SENTENCES, strict=True)
    ]
    found = keras.ops.convert_to_numpy(ctc_losses(logits, GLOSS_IDS, FRAMES, NUM_GLOSSES))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("padding_id", [0, 2, -1, 99])
def test_padding_changes_neither_loss_nor_gradient(padding_id: int):
    loss, gradient = gradients(logits_of(0), GLOSS_IDS, FRAMES, NUM_GLOSSES)
    wider = np.full((4, 6), padding_id)
    wider[:, :3] = np.where(GLOSS_IDS < 0, padding_id, GLOSS_IDS)
    other, other_gradient = gradients(logits_of(0, padding=-3.0), wider, FRAMES, NUM_GLOSSES)
    assert other == pytest.approx(loss)
    np.testing.assert_allclose(other_gradient, gradient, atol=1e-6)
    for clip, length in zip(gradient, FRAMES, strict=True):
        assert np.all(clip[length:] == 0)
        assert np.any(clip[:length] != 0)


def test_gradient_is_that_of_finite_differences():
    logits = logits_of(1)
    _, gradient = gradients(logits, GLOSS_IDS, FRAMES, NUM_GLOSSES)
    rng = np.random.default_rng(0)
    for _ in range(8):
        clip = rng.integers(len(FRAMES))
        place = (clip, rng.integers(FRAMES[clip]), rng.integers(4))
        values = []
        for step in (-0.02, 0.02):
            moved = logits.copy()
            moved[place] += step
            values.append(float(keras.ops.sum(ctc_losses(moved, GLOSS_IDS, FRAMES, NUM_GLOSSES))))
        assert gradient[place] == pytest.approx((values[1] - values[0]) / 0.04, abs=2e-3)


def test_clips_that_cannot_carry_their_glosses_do_not_spoil_the_others():
    """Too few frames, a repeat without room for its blank, and no frames at all."""
    gloss_ids = np.array([[0, 0, 2], [1, 2, 0], [2, 2, 0], [1, 1, 1]])
    num_frames, num_glosses = np.array([5, 2, 2, 0]), np.array([3, 3, 2, 1])
    carried = keras.ops.convert_to_numpy(can_carry(gloss_ids, num_frames, num_glosses))
    assert carried.tolist() == [True, False, False, False]
    loss, gradient = gradients(logits_of(2), gloss_ids, num_frames, num_glosses)
    alone, alone_gradient = gradients(logits_of(2)[:1], gloss_ids[:1], num_frames[:1], num_glosses[:1])
    assert loss == pytest.approx(alone)
    np.testing.assert_allclose(gradient[0], alone_gradient[0], atol=1e-6)
    assert np.all(gradient[1:] == 0)


def test_batch_without_any_clip_that_can_is_zero():
    loss, gradient = gradients(logits_of(2)[:2], GLOSS_IDS[:2], np.array([1, 0]), np.array([3, 1]))
    assert loss == 0
    assert np.all(gradient == 0)


def test_empty_sentence_without_frames_costs_nothing():
    loss, gradient = gradients(logits_of(2)[:1], GLOSS_IDS[:1], np.array([0]), np.array([0]))
    assert loss == 0
    assert np.all(gradient == 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_loss_is_float32_whatever_the_logits_are(dtype: str):
    logits = keras.ops.cast(logits_of(0), dtype)
    losses = ctc_losses(logits, GLOSS_IDS, FRAMES, NUM_GLOSSES)
    assert keras.backend.standardize_dtype(losses.dtype) == "float32"
    full = ctc_losses(keras.ops.cast(logits, "float32"), GLOSS_IDS, FRAMES, NUM_GLOSSES)
    np.testing.assert_allclose(losses, full, rtol=1e-6)


def test_extreme_logits_have_finite_gradients():
    loss, gradient = gradients(logits_of(0) * 100, GLOSS_IDS, FRAMES, NUM_GLOSSES)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
