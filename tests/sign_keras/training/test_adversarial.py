import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.config.training import AdversarialWeightsConfig
from sign_keras.training.adversarial import AdversarialWeights
from sign_keras.training.learner import Learner
from tests.sign_keras.training.tiny_learning import fit, tiny_model, tiny_recipe, values

SGD = {"optimizer": {"name": "sgd", "momentum": 0}, "gradient_clip_norm": None, "learning_rate": 0.1}


def adversary(delta: float) -> AdversarialWeights:
    made = AdversarialWeights(AdversarialWeightsConfig(delta=delta))
    made.is_on = True
    return made


class HalfSquare(keras.losses.Loss):
    def call(self, labels, outputs):
        del labels
        return 0.5 * tf.reduce_sum(outputs**2, axis=-1)


def quadratic(bias: bool = False) -> Learner:
    """``0.5 * (w . x + b) ** 2`` with w = (3, 1); descent at a rate of 0.1."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=bias)(inputs))
    learner = Learner(model)
    learner.layers[-1].kernel.assign([[3.0], [1.0]])
    learner.compile(keras.optimizers.SGD(0.1), HalfSquare(), jit_compile=False)
    return learner


ONE_CLIP = (np.array([[1.0, 2.0]], np.float32), np.zeros(1, np.int32))


def test_a_step_on_a_quadratic_by_hand():
    """g = (w . x) x = (5, 10); |w| = sqrt(10), g / |g| = (1, 2) / sqrt(5): w moves by 0.1 sqrt(2) (1, 2)."""
    learner = quadratic()
    learner.adversary = adversary(0.1)
    learner.train_on_batch(*ONE_CLIP)
    at_perturbed = (3 + 0.1 * np.sqrt(2)) + 2 * (1 + 0.2 * np.sqrt(2))
    expected = np.array([3, 1]) - 0.1 * at_perturbed * np.array([1, 2])
    np.testing.assert_allclose(values(learner.trainable_weights)[0][:, 0], expected, rtol=1e-6)


def test_without_it_the_step_is_a_plain_one():
    learner = quadratic()
    learner.adversary = adversary(0.1)
    learner.adversary.is_on = False
    learner.train_on_batch(*ONE_CLIP)
    np.testing.assert_allclose(values(learner.trainable_weights)[0][:, 0], [3 - 0.5, 1 - 1.0], rtol=1e-6)


def test_biases_stay_in_place():
    learner = quadratic(bias=True)
    kernel, bias = learner.trainable_weights
    bias.assign([2.0])
    moved = adversary(0.1).perturb([kernel, bias], [tf.constant([[5.0], [10.0]]), tf.constant([7.0])])
    np.testing.assert_allclose(moved[0][:, 0], [3 + 0.1 * np.sqrt(2), 1 + 0.2 * np.sqrt(2)], rtol=1e-6)
    np.testing.assert_array_equal(moved[1], [2.0])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_only_the_gradients_direction_counts(scale):
    kernel = quadratic().trainable_weights[0]
    [moved] = adversary(0.1).perturb([kernel], [tf.constant([[5.0], [10.0]]) * scale])
    np.testing.assert_allclose(moved[:, 0], [3 + 0.1 * np.sqrt(2), 1 + 0.2 * np.sqrt(2)], rtol=1e-6)


def test_where_there_is_no_gradient_nothing_moves():
    kernel = quadratic().trainable_weights[0]
    [moved] = adversary(0.1).perturb([kernel], [tf.zeros([2, 1])])
    np.testing.assert_array_equal(moved, kernel)


def frozen_normalisation():
    model = tiny_model()
    for name in ("stem", "layer1"):
        model.get_layer(name).get_layer("norm").trainable = False
    return model


def test_parts_make_the_update_of_the_large_batch():
    whole, parts = (
        tiny_recipe(frozen_normalisation(), batch_size=6 // steps, accumulate_steps=steps, **SGD)
        for steps in (1, 3)
    )
    for recipe in (whole, parts):
        recipe.learner.adversary = adversary(0.2)
        fit(recipe, epochs=2, count=13)
    for a, b in zip(values(whole.learner.variables), values(parts.learner.variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_regularisation_is_that_of_the_perturbed_weights():
    """Of 0.5 sum(w^2) alone the gradient is w: along it, and so is the perturbation."""
    learner = quadratic()
    learner.layers[-1].kernel.regularizer = keras.regularizers.L2(0.5)
    learner.adversary = adversary(0.1)
    learner.train_on_batch(np.zeros((1, 2), np.float32), ONE_CLIP[1])
    np.testing.assert_allclose(values(learner.trainable_weights)[0][:, 0], 0.89 * np.array([3, 1]), rtol=1e-6)


def test_statistics_and_metrics_are_those_of_the_weights():
    plain, perturbed = tiny_recipe(**SGD), tiny_recipe(**SGD)
    perturbed.learner.adversary = adversary(0.5)
    logs = [fit(recipe, count=4).history for recipe in (plain, perturbed)]
    of_gradients = {name for name in logs[0] if name.startswith("gradient_norm")}
    assert all(logs[0][name] != logs[1][name] for name in of_gradients)
    assert all(logs[0][name] == logs[1][name] for name in logs[0].keys() - of_gradients)
    for name in ("stem", "layer1"):
        norms = [recipe.learner.get_layer(name).get_layer("norm") for recipe in (plain, perturbed)]
        for a, b in zip(*(values(norm.non_trainable_variables) for norm in norms), strict=True):
            np.testing.assert_array_equal(a, b)
    kernels = [values(recipe.learner.get_layer("logits").trainable_weights)[0] for recipe in (plain, perturbed)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4


def test_it_begins_with_its_epoch_also_in_a_training_that_goes_on():
    plain = tiny_recipe(**SGD)
    late = tiny_recipe(**SGD, adversarial_weights={"delta": 0.3, "start_epoch": 3})
    for recipe in (plain, late):
        fit(recipe, epochs=2)
    assert not late.learner.adversary.is_on
    for a, b in zip(values(plain.learner.variables), values(late.learner.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    fit(plain, epochs=1, first_epoch=2)
    fit(late, epochs=1, first_epoch=2)
    assert late.learner.adversary.is_on
    difference = [a - b for a, b in zip(values(plain.learner.weights), values(late.learner.weights), strict=True)]
    assert max(np.abs(part).max() for part in difference) > 1e-4


def test_it_learns_with_dropout_averages_and_unfreezing():
    recipe = tiny_recipe(
        tiny_model(dropout=0.2),
        adversarial_weights={"delta": 0.05},
        ema_decay=0.9,
        unfreeze={2: ["stem"]},
        learning_rate=0.02,
    )
    losses = fit(recipe, epochs=6, count=48).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_it_learns_in_mixed_precision():
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        recipe = tiny_recipe(adversarial_weights={"delta": 0.05}, learning_rate=0.02)
        losses = fit(recipe, epochs=4, count=12).history["loss"]
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_kernels_of_convolutions_are_moved_by_a_share_of_their_length():
    rng = np.random.default_rng(0)
    kernel = keras.Variable(rng.normal(size=(3, 3, 2, 4)), name="kernel")
    gradient = rng.normal(size=kernel.shape).astype(np.float32)
    [moved] = AdversarialWeights(AdversarialWeightsConfig(delta=0.1)).perturb([kernel], [gradient])
    before = np.array(kernel)
    expected = before + 0.1 * np.linalg.norm(before) * gradient / np.linalg.norm(gradient)
    np.testing.assert_allclose(moved, expected, rtol=1e-5)
