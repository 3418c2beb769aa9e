import keras
import numpy as np

from sign_keras.training.averaging import ValidateAverages
from tests.sign_keras.training.tiny_learning import clips, fit, tiny_model, tiny_recipe, values


class Watch(keras.callbacks.Callback):
    """Copies the model's variables after each update, and those that validation sees."""

    def __init__(self):
        super().__init__()
        self.trained, self.tested = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.trained.append(values(self.model.variables))

    def on_test_batch_begin(self, batch, logs=None):
        self.tested.append(values(self.model.variables))


def averages_by_hand(start, updates, decay):
    average = [np.array(value, np.float64) for value in start]
    for count, current in enumerate(updates, 1):
        share = min(decay, (1 + count) / (10 + count))
        average = [share * a + (1 - share) * b for a, b in zip(average, current, strict=True)]
    return average


def floats(arrays):
    return [array for array in arrays if np.asarray(array).dtype == np.float32]


def test_averages_by_hand_with_those_of_running_statistics():
    recipe, watch = tiny_recipe(ema_decay=0.3), Watch()
    start = values(recipe.learner.variables)
    fit(recipe, epochs=3, callbacks=[watch])
    expected = averages_by_hand(floats(start), [floats(update) for update in watch.trained], 0.3)
    with recipe.learner.weights_to_keep():
        averaged = floats(values(recipe.learner.variables))
    for a, b in zip(averaged, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(averaged, floats(watch.trained[-1]), strict=True))


def test_validation_sees_the_averages_and_training_goes_on_from_the_weights():
    plain, averaged = tiny_recipe(), tiny_recipe(ema_decay=0.9)
    fit(plain, epochs=2, validation_data=clips(5, seed=1))
    watch = Watch()
    history = fit(averaged, epochs=2, validation_data=clips(5, seed=1), callbacks=[watch]).history
    # Averaging changes nothing about learning, to the last bit.
    for a, b in zip(values(plain.learner.variables), values(averaged.learner.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    with averaged.learner.weights_to_keep():
        np.testing.assert_array_equal(
            averaged.learner.get_layer("logits").kernel, watch.tested[-1][_place(averaged.learner)]
        )
        loss = averaged.learner.evaluate(*clips(5, seed=1), verbose=0)[0]
    assert history["val_loss"][-1] == np.float32(loss)
    assert not np.array_equal(
        watch.tested[-1][_place(averaged.learner)], averaged.learner.get_layer("logits").kernel
    )


def _place(model):
    return [variable.path for variable in model.variables].index("logits/kernel")


def test_weights_come_back_when_validation_fails():
    recipe = tiny_recipe(ema_decay=0.9)
    fit(recipe)
    before = values(recipe.learner.variables)
    callback = ValidateAverages(recipe.learner.averages)
    callback.on_test_begin()
    callback.on_test_end()
    try:
        with recipe.learner.weights_to_keep():
            raise KeyError
    except KeyError:
        pass
    for a, b in zip(before, values(recipe.learner.variables), strict=True):
        np.testing.assert_array_equal(a, b)


def test_kept_weights_fit_the_plain_model(tmp_path):
    recipe = tiny_recipe(ema_decay=0.9)
    fit(recipe)
    with recipe.learner.weights_to_keep():
        recipe.learner.save_weights(tmp_path / "best.weights.h5")
        kept = floats(values(recipe.learner.variables))
    model = tiny_model(seed=9)
    model.load_weights(tmp_path / "best.weights.h5")
    for a, b in zip(floats(values(model.variables)), kept, strict=True):
        np.testing.assert_array_equal(a, b)
