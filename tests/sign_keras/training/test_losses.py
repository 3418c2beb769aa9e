import keras
import numpy as np
import pytest

from sign_keras.training.losses import (
    GlossLoss,
    accuracy_metrics,
    build_loss,
    class_weights,
    gloss_ids,
    logit_adjustments,
)
from tests.sign_keras.training.tiny_learning import GLOSSES, train_config
from tfrecords_tools.command_line import UserError

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)).astype(np.float32)
LABELS = np.array([0, 1, 2, 3, 1, 0])
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
MIXED = (0.7 * ONE_HOT + 0.3 * np.roll(ONE_HOT, 1, axis=0)).astype(np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("labels", [LABELS, MIXED], ids=["ids", "shares"])
def test_crossentropy_equals_keras_on_one_hot_labels(smoothing, labels):
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    expected = reference(ONE_HOT if labels is LABELS else MIXED, LOGITS)
    np.testing.assert_allclose(GlossLoss(smoothing)(labels, LOGITS), expected, rtol=1e-6)


@pytest.mark.parametrize("labels", [LABELS, MIXED], ids=["ids", "shares"])
def test_focal_loss_equals_keras_on_one_hot_labels(labels):
    reference = keras.losses.CategoricalFocalCrossentropy(
        alpha=0.25, gamma=2.0, from_logits=True, label_smoothing=0.1
    )
    expected = reference(ONE_HOT if labels is LABELS else MIXED, LOGITS)
    np.testing.assert_allclose(GlossLoss(0.1, gamma=2.0, alpha=0.25)(labels, LOGITS), expected, rtol=1e-5)


def test_focal_loss_by_hand():
    # p = 3/4 for the label: -(1/4)^2 log(3/4).
    logits = np.log(np.array([[3.0, 1.0]], np.float32))
    np.testing.assert_allclose(GlossLoss(gamma=2.0)(np.array([0]), logits), -0.0625 * np.log(0.75), rtol=1e-6)


def test_a_hopeless_clip_still_has_a_gradient():
    import tensorflow as tf

    logits = tf.constant([[40.0, -40.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = GlossLoss(gamma=2.0)(tf.constant([1]), logits)
    np.testing.assert_allclose(loss, 80.0, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, logits), [[1.0, -1.0]], rtol=1e-5)


def test_a_mixed_clip_has_a_mixed_weight():
    weights = [1.0, 2.0, 3.0, 4.0]
    plain = GlossLoss().call(MIXED, LOGITS)
    np.testing.assert_allclose(
        GlossLoss(class_weights=weights).call(MIXED, LOGITS), plain * (MIXED @ weights), rtol=1e-6
    )
    of_ids = GlossLoss(class_weights=weights).call(LABELS, LOGITS)
    np.testing.assert_allclose(of_ids, GlossLoss().call(LABELS, LOGITS) * np.array(weights)[LABELS], rtol=1e-6)


def test_adjusted_logits_answer_as_if_glosses_were_equally_frequent():
    """The loss is least where the softmax of the plain logits is likelihood times an even prior."""
    clips = {"hello": 90, "thanks": 10}
    adjustments = logit_adjustments(1.0, GLOSSES, clips)
    np.testing.assert_allclose(adjustments, [np.log(3), -np.log(3), 0, 0], rtol=1e-6)
    assert logit_adjustments(0.0, GLOSSES, clips) is None
    # Clips that look the same, 9 in 10 "hello": without adjustment the best answer is 9 to 1, with it even.
    labels = np.array([0] * 9 + [1])
    even, uneven = np.zeros((10, 4)), np.tile(np.log([0.9, 0.1, 1e-9, 1e-9]), (10, 1))
    even[:, 2:] = uneven[:, 2:] = -20

    def loss(logits, adjustments):
        return float(np.mean(GlossLoss(adjustments=adjustments).call(labels, logits)))

    assert loss(even, adjustments) < loss(uneven, adjustments)
    assert loss(even, None) > loss(uneven, None)
    np.testing.assert_allclose(loss(even, adjustments), loss(uneven, None), atol=1e-6)


def test_class_weights_by_hand():
    clips = {"hello": 6, "thanks": 3, "yes": 1}  # none of "no"

    def weights(**settings):
        return class_weights(train_config(**settings), GLOSSES, clips)

    assert weights() is None
    np.testing.assert_allclose(weights(class_weights="balanced"), [10 / 18, 10 / 9, 10 / 3, 1])
    # beta = 1/2: effective numbers 2 (1 - 2^-n): 63/32, 7/4, 1; their inverses scaled to a sum of 3.
    inverses = np.array([32 / 63, 4 / 7, 1])
    np.testing.assert_allclose(
        weights(class_weights="effective", effective_number_beta=0.5), [*inverses * 3 / inverses.sum(), 1]
    )
    assert weights(class_weights={"yes": 2.5}) == [1, 1, 2.5, 1]
    with pytest.raises(UserError, match=r"train.class_weights: maybe: no such gloss.*hello, thanks, yes, no"):
        weights(class_weights={"maybe": 2})


def test_balanced_weights_average_to_one_over_clips():
    clips = {"hello": 6, "thanks": 3, "yes": 2, "no": 1}
    weights = class_weights(train_config(class_weights="balanced"), GLOSSES, clips)
    assert np.dot(weights, list(clips.values())) == pytest.approx(12)


def test_the_loss_is_what_the_configuration_says():
    config = train_config(loss={"name": "focal", "gamma": 3}, label_smoothing=0.2, logit_adjustment=0.5)
    again = GlossLoss.from_config(build_loss(config, GLOSSES, {"hello": 100, "no": 1}).get_config())
    np.testing.assert_allclose(again.adjustments, [np.log(10) / 2, 0, 0, -np.log(10) / 2])
    assert (again.gamma, again.alpha, again.label_smoothing, again.class_weights) == (3, 1, 0.2, None)


def test_accuracy_takes_labels_of_both_kinds():
    labels = np.array([0, 1, 2, 3])
    logits = np.eye(4, dtype=np.float32)[[0, 1, 2, 0]]
    shares = 0.6 * np.eye(4, dtype=np.float32)[labels] + 0.4 * np.eye(4, dtype=np.float32)[[1, 2, 3, 0]]
    np.testing.assert_array_equal(gloss_ids(shares), labels)
    for given in (labels, shares):
        top1, top5 = accuracy_metrics(4)
        top1.update_state(given, logits)
        top5.update_state(given, logits)
        assert float(top1.result()) == 0.75
        assert float(top5.result()) == 1.0
