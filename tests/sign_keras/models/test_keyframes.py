"""Keyframe selection: how many, which, in which order, and that the scorer learns to find motion."""

from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from sign_keras.ctc.planner import frames_left
from sign_keras.models.keyframes import KeyframeSelection, RandomSelection, take_frames
from sign_keras.models.motion_scorer import MotionScorer

T = 10


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize("ratio", [0.07, 0.5, 0.7, 1.0])
def test_as_many_are_kept_as_the_planner_counts_and_they_are_the_best(ratio):
    rng = np.random.default_rng(1)
    lengths = np.arange(1, T + 1)
    mask = np.arange(T) < lengths[:, None]
    features = rng.normal(size=(T, T, 3)).astype(np.float32)
    changes = rng.normal(size=(T, T - 1)).astype(np.float32)
    outputs = {
        name: np.asarray(value) for name, value in KeyframeSelection(ratio)(features, changes, mask=mask).items()
    }
    for clip, length in enumerate(lengths):
        scores = np.concatenate([changes[clip, :1], changes[clip]])[:length]
        count = frames_left(int(length), ratio)
        assert outputs["keyframe_mask"][clip].sum() == count
        best = np.sort(np.argsort(-scores, kind="stable")[:count])  # the earlier of equal ones
        np.testing.assert_array_equal(outputs["keyframe_indices"][clip, :count], best)
        # Straight through: forwards, the features as they are.
        np.testing.assert_array_equal(outputs["selected"][clip, :count], features[clip, best])
        of_changes = np.exp(changes[clip, : length - 1]) / np.exp(changes[clip, : length - 1]).sum()
        np.testing.assert_allclose(outputs["frame_scores"][clip, 1:length], of_changes, rtol=1e-5)
        assert not outputs["frame_scores"][clip, length:].any()


def test_gradients_reach_every_real_change_and_no_other():
    features = tf.constant(np.random.default_rng(0).normal(size=(2, T, 3)), tf.float32)
    changes = tf.Variable(np.random.default_rng(1).normal(size=(2, T - 1)), dtype=tf.float32)
    mask = np.arange(T) < np.array([[T], [6]])
    with tf.GradientTape() as tape:
        selected = KeyframeSelection(0.5)(features, changes, mask=mask)["selected"]
        loss = tf.reduce_sum(selected[:, :3] ** 2)
    gradient = tape.gradient(loss, changes).numpy()
    np.testing.assert_array_equal(gradient != 0, mask[:, 1:])


def test_the_gate_raises_a_score_where_more_of_the_frame_would_help():
    """By hand: two changes, scores s = 1/2 each; frames 1 and 2 are kept (of equal scores the first's is lower)."""
    features = tf.constant([[[5.0], [3.0], [-2.0]]])
    changes = tf.Variable([[0.0, 1e-6]])
    with tf.GradientTape() as tape:
        outputs = KeyframeSelection(0.5)(features, changes)
        loss = tf.reduce_sum(outputs["selected"])
    assert outputs["keyframe_indices"].numpy().tolist() == [[0, 2]]
    # The gate of the first frame, 2 s_1, and of the last, 2 s_2: 2 (5 ds_1 - 2 ds_2), with ds_1 = -ds_2 = 1/4.
    np.testing.assert_allclose(tape.gradient(loss, changes), [[3.5, -3.5]], rtol=1e-4)


def test_random_selection_is_always_the_same_but_in_training():
    layer = RandomSelection(Fraction(1, 2))
    features = np.zeros((1, T, 2), np.float32)
    used = [layer(features)["keyframe_indices"].numpy().tolist() for _ in range(2)]
    assert used[0] == used[1]
    training = [layer(features, training=True)["keyframe_indices"].numpy().tolist() for _ in range(5)]
    assert len({str(kept) for kept in training}) > 1
    assert all(np.diff(kept).min() > 0 for kept in training)


def test_frames_are_taken_clip_by_clip():
    values = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    found = np.asarray(take_frames(values, np.array([[3, 0], [1, 1]])))
    np.testing.assert_array_equal(found, [values[0, [3, 0]], values[1, [1, 1]]])


def moving_and_still(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps ``[count, 12, 2, 2, 3]``, labels ``[count]``, and which frames move, ``[count, 12]``.

    Each clip stands still but for a stretch of 5 frames. Moving frames say the label in channel 0; still ones say
    the opposite, and are as bright.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    starts = rng.integers(2, 7, count)
    moving = (np.arange(12) >= starts[:, None]) & (np.arange(12) < starts[:, None] + 5)
    maps = np.repeat(rng.normal(0, 1, (count, 1, 2, 2, 3)), 12, axis=1)
    maps += np.where(moving[:, :, None, None, None], rng.normal(0, 1, maps.shape), 0)
    sign = np.where(moving, 1.0, -1.0) * (2 * labels - 1)[:, None]
    maps[..., 0] = sign[:, :, None, None]
    return maps.astype(np.float32), labels.astype(np.float32), moving


def detector(start: str) -> tuple[keras.Model, keras.Model]:
    """Reads the label of the mean of what is kept, with a head that is right already: the scorer alone can
    learn.
    """
    maps = keras.Input((12, 2, 2, 3))
    changes = MotionScorer(4, start, name="scorer")(maps)
    outputs = KeyframeSelection(0.4)(keras.ops.reshape(maps, (-1, 12, 12)), changes)
    kernel = np.zeros((12, 1), np.float32)
    kernel[::3] = 1.0
    head = keras.layers.Dense(1, use_bias=False, trainable=False, name="head")
    logits = head(keras.ops.mean(outputs["selected"], axis=1))
    head.set_weights([kernel])
    return keras.Model(maps, logits), keras.Model(maps, outputs["frame_scores"])


def area(scorer: keras.Model, maps: np.ndarray, moving: np.ndarray) -> float:
    """How often a moving frame has a better score than a still one of the same clip, the first frames left out."""
    scores = scorer.predict(maps, verbose=0)[:, 1:]
    return float(np.mean([roc_auc_score(a, b) for a, b in zip(moving[:, 1:], scores, strict=True)]))


def test_the_scorer_learns_to_pick_moving_frames():
    """From random weights, of another seed than where motion would be found by chance, by the head's loss alone."""
    maps, labels, _ = moving_and_still(64, seed=0)
    held, held_labels, moving = moving_and_still(64, seed=1)
    keras.utils.set_random_seed(3)
    model, scorer = detector("random")
    # A scorer that prefers still frames: what it is to unlearn.
    score = model.get_layer("scorer").score
    if area(scorer, held, moving) > 0.5:
        score.set_weights([-weight for weight in score.get_weights()])
    assert area(scorer, held, moving) < 0.5
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    before = model.evaluate(held, held_labels, verbose=0)
    model.fit(maps, labels, batch_size=16, epochs=25, verbose=0)
    assert area(scorer, held, moving) > 0.9
    assert model.evaluate(held, held_labels, verbose=0) < before / 2


def test_it_may_begin_as_a_detector_of_motion():
    held, _, moving = moving_and_still(64, seed=1)
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        assert area(detector("motion")[1], held, moving) > 0.8
