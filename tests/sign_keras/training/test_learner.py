import keras
import numpy as np
import pytest

from tests.sign_keras.training.tiny_learning import clips, fit, tiny_model, tiny_recipe, values


def frozen_normalisation(model=None):
    model = model or tiny_model()
    for name in ("stem", "layer1"):
        model.get_layer(name).get_layer("norm").trainable = False
    return model


def assert_close(recipe, other, rtol=1e-5):
    for a, b in zip(values(recipe.learner.variables), values(other.learner.variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.slow)])
def test_parts_make_the_update_of_the_large_batch(optimizer):
    """13 clips in updates of 6: the last of an epoch has one clip, and so less than one for each part."""
    settings = {
        "optimizer": optimizer,
        "learning_rate": 0.01,
        "label_smoothing": 0.1,
        "class_weights": "balanced",
        "gradient_clip_norm": None,  # it would hide gradients that are too long
    }
    whole = tiny_recipe(frozen_normalisation(), batch_size=6, **settings)
    parts = tiny_recipe(frozen_normalisation(), batch_size=2, accumulate_steps=3, **settings)
    logs = [fit(recipe, epochs=2, count=13).history for recipe in (whole, parts)]
    assert int(whole.learner.optimizer.iterations) == int(parts.learner.optimizer.iterations) == 6
    assert_close(whole, parts)
    for name in ("loss", "top1", "top5"):
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-5)


def test_parts_normalise_by_themselves():
    """With batch normalisation learning, parts see their own statistics: two parts are two updates of these."""
    recipe = tiny_recipe(batch_size=3, accumulate_steps=2)
    inputs, labels = clips(6)
    stem = recipe.learner.get_layer("stem")
    expected = values([stem.get_layer("norm").moving_mean])[0]
    for part in (inputs["frames"][:3], inputs["frames"][3:]):
        expected = 0.8 * expected + 0.2 * np.asarray(stem.get_layer("dense")(part)).mean(axis=0)
    recipe.learner.train_on_batch(inputs, labels)
    np.testing.assert_allclose(stem.get_layer("norm").moving_mean, expected, rtol=1e-5)


def test_one_update_is_what_keras_makes_of_it():
    """Against ``keras.Model.train_step`` with Keras's own optimiser and loss."""
    # Not Adam: it makes full steps of the rounding errors that are a bias's gradient before a normalisation.
    recipe, reference = tiny_recipe(optimizer="sgd"), tiny_model()
    reference.compile(
        keras.optimizers.SGD(0.1, 0.9, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    inputs, labels = clips(12)
    fit(recipe, epochs=2)
    reference.fit(inputs, labels, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for variable, other in zip(recipe.learner.variables, reference.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_labels_that_are_shares_learn_and_count():
    recipe = tiny_recipe()
    inputs, labels = clips(12)
    shares = (0.8 * np.eye(4)[labels] + 0.05).astype(np.float32)
    same = tiny_recipe(label_smoothing=0.2)
    soft = recipe.learner.fit(inputs, shares, batch_size=4, shuffle=False, verbose=0).history
    hard = same.learner.fit(inputs, labels, batch_size=4, shuffle=False, verbose=0).history
    np.testing.assert_allclose(soft["loss"], hard["loss"], rtol=1e-5)
    assert soft["top1"] == hard["top1"]
    assert_close(recipe, same, rtol=1e-4)


def test_regularisation_counts_once_however_many_parts():
    changed = []
    for parts in (1, 3):
        model = frozen_normalisation()
        model.get_layer("logits").kernel.regularizer = keras.regularizers.L2(0.5)
        recipe = tiny_recipe(
            model,
            batch_size=6 // parts,
            accumulate_steps=parts,
            optimizer={"name": "sgd", "momentum": 0},
            gradient_clip_norm=None,
        )
        fit(recipe, count=6)
        changed.append(values([recipe.learner.get_layer("logits").kernel])[0])
    without = tiny_recipe(
        frozen_normalisation(), batch_size=6, optimizer={"name": "sgd", "momentum": 0}, gradient_clip_norm=None
    )
    kernel = values([without.learner.get_layer("logits").kernel])[0]
    fit(without, count=6)
    np.testing.assert_allclose(changed[0], changed[1], rtol=1e-5, atol=1e-6)
    # The gradient of 0.5 * sum(w^2) is w.
    expected = values([without.learner.get_layer("logits").kernel])[0] - 0.1 * kernel
    np.testing.assert_allclose(changed[0], expected, rtol=1e-4, atol=1e-6)
