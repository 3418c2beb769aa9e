"""The losses of the stages, by hand and against every path of small clips."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import AlignmentConfig, FourStageCTCConfig
from sign_keras.training.ctc_posteriors import ctc_posteriors
from sign_keras.training.stage_losses import (
    StageLosses,
    alignment_losses,
    classification_losses,
    frame_targets,
    selection_losses,
)
from tests.sign_keras.ctc.brute_force import paths_by_sentence
from tests.sign_keras.sentence_labels import packed

V = 4


def ids(sentences: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Gloss ids ``[B, L]``, -1 behind the last, and how many there are."""
    padded = np.full((len(sentences), 1 + max(map(len, sentences))), -1)
    for clip, sentence in enumerate(sentences):
        padded[clip, : len(sentence)] = sentence
    return padded, np.array([len(sentence) for sentence in sentences])


@pytest.mark.parametrize("in_graph", [False, True])
def test_posteriors_are_shares_of_paths(in_graph):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4, 6, V + 1)).astype(np.float32)
    sentences, frames = [[0, 1], [2, 2, 3], [], [1]], np.array([6, 5, 4, 1])
    padded, counts = ids(sentences)
    compute = tf.function(ctc_posteriors) if in_graph else ctc_posteriors
    found = np.asarray(compute(tf.constant(logits), tf.constant(padded), tf.constant(frames), tf.constant(counts)))
    expected = np.zeros_like(found)
    for clip, sentence in enumerate(sentences):
        paths = paths_by_sentence(logits[clip, : frames[clip]])[tuple(sentence)]
        for path, probability in paths.items():
            for frame, label in enumerate(path):
                expected[clip, frame, label] += probability / sum(paths.values())
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_posteriors_of_long_clips_stay_exact():
    """Of 300 frames, paths have probabilities that no float holds; each frame still sums to 1."""
    logits = np.random.default_rng(0).normal(0, 20, (2, 300, 30)).astype(np.float32)
    padded, counts = ids([[3, 3, 7, 1] * 10, []])
    found = np.asarray(ctc_posteriors(logits, padded, np.array([300, 200]), counts))
    np.testing.assert_allclose(found[0].sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found[1].sum(axis=1), np.arange(300) < 200, atol=1e-3)


def test_a_clip_that_cannot_carry_its_sentence_has_no_posteriors_and_no_loss():
    padded, counts = ids([[0, 1, 2], [0]])
    logits = np.zeros((2, 3, V + 1), np.float32)
    found = np.asarray(ctc_posteriors(logits, padded, np.array([2, 2]), counts))
    assert not found[0].any()
    np.testing.assert_allclose(found[1].sum(axis=-1), [1, 1, 0], atol=1e-6)
    assert classification_losses(np.ones((2, 3, V), np.float32), found[..., 1:])[0] == 0


def aligned(similarity: np.ndarray, posteriors: np.ndarray, margin: float = 0.0) -> float:
    config = AlignmentConfig(pairing="posteriors", margin=margin)
    tensors = {"gloss_similarity": tf.constant(similarity[None], tf.float32)}
    losses = alignment_losses(tensors, config, tf.constant(posteriors[None], tf.float32), None, None)
    return float(losses[0])


def test_frames_are_drawn_to_the_glosses_that_ctc_says_and_away_from_others():
    # Frame 0 is all of gloss 0, frame 1 half gloss 1, frame 2 blank.
    posteriors = np.array([[1, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0, 0]])
    similarity = np.array([[0.6, 0.3, -0.5, 0.0], [-1, 0.2, 0.9, 0.0], [1, 1, 1, 1]])
    together = 1.0 * (1 - 0.6) + 0.5 * (1 - 0.2)
    apart = (1.0 * 0.3 + 0.5 * 0.9) / 3  # of the three others; what is below the margin costs nothing
    assert aligned(similarity, posteriors) == pytest.approx((together + apart) / 1.5)
    assert aligned(similarity, posteriors, margin=0.4) == pytest.approx((together + 0.5 * 0.5 / 3) / 1.5)


def test_paired_by_posteriors_only_frames_that_are_kept_count():
    rng = np.random.default_rng(0)
    similarity, posteriors = rng.uniform(-1, 1, (1, 6, V)), rng.random((1, 2, V))
    config = AlignmentConfig(pairing="posteriors")
    tensors = {
        "gloss_similarity": tf.constant(similarity, tf.float32),
        "keyframe_indices": tf.constant([[1, 4]]),
    }
    found = alignment_losses(tensors, config, tf.constant(posteriors, tf.float32), None, None)
    assert float(found[0]) == pytest.approx(aligned(similarity[0, [1, 4]], posteriors[0]), rel=1e-5)


def test_paired_by_sentence_the_mean_frame_is_drawn_to_the_mean_gloss():
    vectors = np.eye(4, dtype=np.float32)
    visual = np.zeros((2, 3, 4), np.float32)
    visual[:, 0, 0] = visual[:, 1, 1] = 1.0
    visual[:, 2] = 77.0  # not real
    padded, _ = ids([[0, 2], []])
    tensors = {
        "visual": tf.constant(visual),
        "gloss_vectors": tf.constant(vectors),
        "gloss_similarity": tf.constant(visual @ vectors.T),
    }
    found = alignment_losses(
        tensors, AlignmentConfig(pairing="sentence"), None, tf.constant(padded), np.array([2, 2])
    )
    # The clip's mean is (1, 1, 0, 0) / sqrt 2, the sentence's (1, 0, 1, 0) / sqrt 2; glosses 1 and 3 are not
    # signed.
    np.testing.assert_allclose(found, [1 - 0.5 + (np.sqrt(0.5) + 0) / 2, 0], rtol=1e-5)


def test_selection_is_the_negative_log_score_of_what_is_kept_less_entropy():
    scores = np.array([0.5, 0.3, 0.2])
    changes = tf.constant(np.log([[*scores, 9.0], [1, 1, 1, 1]]), tf.float32)
    # Of the first clip, 4 of 5 frames are real and frames 0, 1 and 3 kept; the second has a single frame.
    found = selection_losses(
        changes, tf.constant([[0, 1, 3], [0, 4, 4]]), tf.constant([4, 1]), tf.constant([3, 1]), 0.1
    )
    entropy = -(scores * np.log(scores)).sum()
    expected = -np.log([0.5, 0.5, 0.2]).mean() - 0.1 * entropy
    np.testing.assert_allclose(found, [expected, 0], rtol=1e-5)


def test_classes_learn_from_glosses_and_not_from_blanks():
    posteriors = np.array([[[0.5, 0.5, 0, 0], [0, 0, 0, 0]]])
    classes = np.array([[[1.0, 0, 0, 0], [9, 9, 9, 9]]])
    terms = classes[0, 0] - np.log(np.exp(classes[0, 0]).sum())
    found = classification_losses(tf.constant(classes, tf.float32), tf.constant(posteriors, tf.float32))
    np.testing.assert_allclose(found, [-(terms[0] + terms[1]) / 2], rtol=1e-5)


def test_frames_learn_what_they_are_said_to_show_and_else_what_ctc_aligns():
    posteriors = np.full((3, 3, V), 0.25, np.float32)
    # Of the first clip, frame 2 shows nothing and frame 5 is not kept; nobody says of the second; the third has one
    # frame, and what its other places stand for does not count.
    glosses = np.full((3, 6), -1)
    glosses[0], glosses[2] = [0, 0, -1, 2, 2, 3], 1
    keyframes = np.array([[0, 2, 3], [0, 1, 2], [0, 1, 1]])
    found = frame_targets(
        tf.constant(glosses), tf.constant(keyframes), tf.constant([3, 3, 1]), tf.constant(posteriors)
    )
    expected = posteriors.copy()
    expected[0], expected[2] = 0, 0
    expected[0, 0, 0] = expected[0, 2, 2] = expected[2, 0, 1] = 1
    np.testing.assert_array_equal(found, expected)
    every = frame_targets(tf.constant(glosses[:, :3]), None, tf.constant([3, 3, 1]), tf.constant(posteriors))
    np.testing.assert_array_equal(every[0], [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("classification", ["labels", "pseudo"])
def test_a_configuration_says_whether_frame_labels_count(classification):
    config = FourStageCTCConfig.model_validate(
        {
            "architecture": "four_stage_ctc",
            "backbone_trainable": True,
            "alignment": None,
            "selection": {"method": "none"},
            "classification": classification,
        }
    )
    rng = np.random.default_rng(0)
    logits, classes = (rng.normal(size=(1, 4, size)).astype(np.float32) for size in (V + 1, V))
    outputs = tf.constant(logits), {"frame_classes": tf.constant(classes)}
    found = StageLosses(config).call(packed([[0, 2]], [4], [[3, -1, -1, 1]]), outputs)[0, 0]
    own = -np.log(np.exp(classes[0]) / np.exp(classes[0]).sum(axis=1, keepdims=True))
    said = (own[0, 3] + own[3, 1]) / 2
    assert (abs(float(found) - said) < 1e-5) == (classification == "labels")


def test_all_losses_of_a_batch_have_gradients_and_their_order():
    config = FourStageCTCConfig.model_validate(
        {"architecture": "four_stage_ctc", "backbone_trainable": True, "selection": {"ratio": 0.5}}
    )
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    logits = tf.Variable(rng.normal(size=(2, 4, V + 1)), dtype=tf.float32)
    visual = tf.Variable(rng.normal(size=(2, 8, 3)), dtype=tf.float32)
    vectors = tf.Variable(rng.normal(size=(V, 3)), dtype=tf.float32)
    changes = tf.Variable(rng.normal(size=(2, 7)), dtype=tf.float32)
    classes = tf.Variable(rng.normal(size=(2, 4, V)), dtype=tf.float32)
    labels = packed([[0, 2], [1]], [8, 5])
    losses = StageLosses(config)
    assert losses.names == ("alignment", "selection", "classification", "ctc")
    with tf.GradientTape(persistent=True) as tape:
        tensors = {
            "visual": visual,
            "gloss_vectors": vectors,
            "gloss_similarity": visual @ tf.transpose(vectors),
            "change_logits": changes,
            "keyframe_indices": tf.constant([[0, 2, 3, 5], [0, 1, 4, 7]]),
            "frame_classes": classes,
        }
        found = losses.call(labels, (logits, tensors))
        columns = tf.unstack(found, axis=1)
    assert found.shape == (2, 4)
    for column, variable in zip(columns, (vectors, changes, classes, logits), strict=True):
        assert np.abs(tape.gradient(column, variable)).max() > 1e-4
    assert not np.any(
        tape.gradient(columns[0], logits)
    )  # posteriors are labels, not something to be learnt by them
