import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.sign_keras.training.tiny_learning import clips, fit, tiny_model, tiny_recipe

NAMES = ("gradient_norm", "gradient_norm_stem", "gradient_norm_layer1", "gradient_norm_logits")


def without_batch_statistics():
    """Parts of a batch, normalised each by itself, would have another gradient than the batch."""
    model = tiny_model()
    for name in ("stem", "layer1"):
        model.get_layer(name).get_layer("norm").trainable = False
    return model


def by_hand(model, first=0, last=12, l2=0.0):
    """Lengths of the gradient of some clips' mean loss: of all weights, and of each stage's."""
    inputs, labels = clips(12)
    weights = model.trainable_weights
    with tf.GradientTape() as tape:
        logits = model({"frames": inputs["frames"][first:last]}, training=True)
        losses = keras.losses.sparse_categorical_crossentropy(labels[first:last], logits, from_logits=True)
        squares = [tf.reduce_sum(weight**2) for weight in weights if weight.name == "kernel"]
        loss = tf.reduce_mean(losses) + l2 * tf.add_n(squares)
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    of_stage = {"stem": 0.0, "layer1": 0.0, "logits": 0.0}
    for weight, gradient in zip(weights, gradients, strict=True):
        stage = next(layer.name for layer in model.layers if any(weight is own for own in layer.weights))
        of_stage[stage] += float(tf.reduce_sum(gradient**2))
    return np.sqrt([sum(of_stage.values()), *of_stage.values()])


@pytest.mark.parametrize("accumulate_steps", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_lengths_are_those_of_the_whole_updates_gradient_before_clipping(accumulate_steps):
    expected = by_hand(without_batch_statistics(), l2=0.01)
    recipe = tiny_recipe(
        without_batch_statistics(),
        batch_size=12 // accumulate_steps,
        accumulate_steps=accumulate_steps,
        gradient_clip_norm=1e-3,
        l2=0.01,
    )
    logs = fit(recipe, validation_data=clips(5)).history
    np.testing.assert_allclose([logs[name][0] for name in NAMES], expected, rtol=1e-5)
    assert not any(name.startswith("val_gradient") for name in logs)


def test_an_epoch_has_the_mean_over_its_updates():
    # So low a rate leaves the weights as they are.
    recipe = tiny_recipe(without_batch_statistics(), batch_size=4, learning_rate=1e-12)
    each = [by_hand(without_batch_statistics(), first, first + 4) for first in (0, 4, 8)]
    history = fit(recipe, epochs=2).history
    expected = np.mean(each, axis=0)
    np.testing.assert_allclose([history[name] for name in NAMES], np.stack([expected] * 2, 1), rtol=1e-4)


def test_a_frozen_stage_has_none_until_it_learns():
    recipe = tiny_recipe(unfreeze={2: ["stem"]})
    history = fit(recipe, epochs=2).history
    assert np.isnan(history["gradient_norm_stem"][0])
    assert history["gradient_norm_stem"][1] > 0
    assert np.isfinite(history["gradient_norm"]).all()


def test_a_stage_that_is_frozen_for_good_is_not_named():
    assert "gradient_norm_stem" not in fit(tiny_recipe(freeze=["stem"])).history


def test_a_loss_scale_is_taken_out_and_what_it_leaves_out_does_not_count():
    expected = by_hand(without_batch_statistics())
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    recipe = tiny_recipe(without_batch_statistics(), batch_size=12, learning_rate=1e-6)
    assert recipe.learner.optimizer.initial_scale > 1000
    history = fit(recipe).history
    np.testing.assert_allclose([history[name][0] for name in NAMES], expected, rtol=0.02)
    recipe.learner.optimizer.dynamic_scale.assign(1e38)
    history = fit(recipe).history
    assert np.isnan([history[name][0] for name in NAMES]).all()


@pytest.mark.slow
def test_adversarial_gradients_are_those_of_the_update():
    plain = fit(tiny_recipe(batch_size=12)).history["gradient_norm"][0]
    worse = fit(tiny_recipe(batch_size=12, adversarial_weights={"delta": 0.3})).history["gradient_norm"][0]
    assert worse > 1.05 * plain
