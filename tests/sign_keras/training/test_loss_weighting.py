"""Weights of several losses: that the large one is made small, that each is measured by its own beginning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config import TrainConfig
from sign_keras.training.loss_weighting import GradNormWeighting, UncertaintyWeighting, build_weighting
from tfrecords_tools.command_line import UserError

NAMES = ("small", "large")


def built_optimizer(*variables: keras.Variable) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(list(variables) or [keras.Variable([0.0])])
    return optimizer


def gradnorm(**changes: float) -> GradNormWeighting:
    return GradNormWeighting(
        NAMES, [1.0, 1.0], **{"alpha": 0.12, "rate": 0.1, **changes}, optimizer=built_optimizer()
    )


def weights(weighting) -> np.ndarray:
    return np.asarray(weighting.weights())


def test_a_loss_a_hundred_times_another_is_made_small():
    """Two targets for the same numbers, one of which weighs 100 times as much."""
    place = keras.Variable(np.zeros(5), dtype="float32")
    targets = np.random.default_rng(0).normal(size=(2, 5)).astype(np.float32)
    weighting = gradnorm()
    norms = np.zeros(2)
    for step in range(150):
        with tf.GradientTape(persistent=True) as tape:
            small = tf.reduce_mean((place.value - targets[0]) ** 2)
            large = 100 * tf.reduce_mean((place.value - targets[1]) ** 2)
        gradients = [tape.gradient(loss, place.value) for loss in (small, large)]
        norms = np.array([np.linalg.norm(gradient) for gradient in gradients])
        before = weights(weighting)
        weighting.update(tf.stack([small, large]), tf.constant(norms, tf.float32))
        if step == 0:
            assert weights(weighting)[1] < before[1]  # its gradient is too long: it counts less
            assert weights(weighting)[0] > before[0]
        assert weights(weighting).sum() == pytest.approx(2, rel=1e-5)
        together = sum(float(w) * gradient for w, gradient in zip(weights(weighting), gradients, strict=True))
        place.assign_sub(0.02 * together)
    found = weights(weighting)
    assert 20 < found[0] / found[1] < 500
    assert 0.4 < (found * norms)[0] / (found * norms)[1] < 2.5  # gradients of about the same length
    # The answer is a compromise, not the large loss's own.
    share = np.linalg.norm(np.asarray(place) - targets[1]) / np.linalg.norm(targets[0] - targets[1])
    assert 0.25 < share < 0.75


def test_the_end_is_where_equation_2_is_least():
    """Loss 0 has fallen to half of its own first value, loss 1 to a tenth; gradients are 3 and 1 long."""
    weighting = gradnorm(alpha=0.5)
    weighting.update(tf.constant([40.0, 0.2]), tf.constant([3.0, 1.0]))
    for _ in range(300):
        weighting.update(tf.constant([20.0, 0.02]), tf.constant([3.0, 1.0]))
    found = weights(weighting) * [3.0, 1.0]
    rates = np.array([0.5, 0.1]) / 0.3
    assert found[0] / found[1] == pytest.approx((rates[0] / rates[1]) ** 0.5, rel=1e-3)


def test_without_alpha_gradients_become_equally_long():
    weighting = gradnorm(alpha=0.0)
    for _ in range(300):
        weighting.update(tf.constant([1.0, 5.0]), tf.constant([2.0, 50.0]))
    assert weights(weighting)[0] / weights(weighting)[1] == pytest.approx(25, rel=1e-3)


def test_a_loss_without_gradient_or_at_zero_does_no_harm():
    weighting = gradnorm()
    for losses, norms in (([0.0, 1.0], [0.0, 1.0]), ([0.0, 0.0], [0.0, 0.0]), ([1.0, 1.0], [1.0, 1.0])):
        weighting.update(tf.constant(losses), tf.constant(norms))
        assert np.isfinite(weights(weighting)).all()
        assert (weights(weighting) > 0).all()


def test_uncertainty_ends_at_half_the_inverse_of_each_loss():
    weighting = UncertaintyWeighting(NAMES, [1.0, 2.0], 0.05, built_optimizer())
    np.testing.assert_allclose(weights(weighting), [1, 2], rtol=1e-5)
    weighting.update(tf.constant([0.25, 1e6]))
    assert weights(weighting)[1] > 1.8  # not thrown out of reach by a loss that begins large
    for _ in range(1500):
        weighting.update(tf.constant([0.25, 25.0]))
    np.testing.assert_allclose(weights(weighting), [2.0, 0.02], rtol=0.02)


@pytest.mark.parametrize("name", ["uncertainty", "gradnorm"])
def test_what_is_learned_is_among_the_optimisers_variables(name):
    variable = keras.Variable([0.0])
    optimizer = built_optimizer(variable)
    before = len(optimizer.variables)
    config = TrainConfig.model_validate(
        {"epochs": 1, "batch_size": 1, "learning_rate": 0.1, "loss_weighting": {"name": name, "rate": 1.0}}
    )
    weighting = build_weighting(config, ("selection", "ctc"), optimizer)
    np.testing.assert_allclose(weights(weighting), [0.5, 2.0], rtol=1e-6)
    assert len(optimizer.variables) > before
    kept = [np.asarray(value) for value in optimizer.variables]
    weighting.update(tf.constant([1.0, 3.0]), tf.constant([1.0, 1.0]))
    changed = weights(weighting)
    assert not np.allclose(changed, [0.5, 2.0])
    for value, old in zip(optimizer.variables, kept, strict=True):
        value.assign(old)
    np.testing.assert_allclose(weights(weighting), [0.5, 2.0], rtol=1e-6)


def test_a_weight_of_0_cannot_be_learned():
    config = TrainConfig.model_validate(
        {
            "epochs": 1,
            "batch_size": 1,
            "learning_rate": 0.1,
            "loss_weighting": "uncertainty",
            "loss_weights": {"alignment": 0},
        }
    )
    with pytest.raises(UserError, match="alignment is 0 and uncertainty could not learn it"):
        build_weighting(config, ("alignment", "ctc"), built_optimizer())
