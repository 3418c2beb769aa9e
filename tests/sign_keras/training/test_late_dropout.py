"""Dropout that begins late, in trainings."""

import keras
import numpy as np
import pytest

from sign_keras.models.late_dropout import LateDropout
from tests.sign_keras.training.tiny_learning import GLOSSES, NUM_FEATURES, fit, tiny_recipe


class Witness(keras.callbacks.Callback):
    """The share of features that the traced training step lets through, epoch by epoch."""

    def __init__(self, watched: keras.layers.Layer) -> None:
        super().__init__()
        self.shares: list[float] = []
        self._watched = watched

    def on_epoch_begin(self, epoch, logs=None):
        self._watched.seen.assign(0.0)

    def on_epoch_end(self, epoch, logs=None):
        self.shares.append(float(self._watched.seen))


class Watch(keras.layers.Layer):
    """Notes how many of its inputs are not 0, in training."""

    def build(self, input_shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, inputs, training=False):
        if training:
            self.seen.assign(keras.ops.mean(keras.ops.cast(inputs != 0, "float32")))
        return inputs


def model_with_late_dropout() -> tuple[keras.Model, Watch]:
    keras.utils.set_random_seed(0)
    inputs = {"frames": keras.Input((NUM_FEATURES,), name="frames")}
    watch = Watch(name="watch")
    features = keras.layers.Dense(64, name="stem")(inputs["frames"])
    features = watch(LateDropout(0.5, first_epoch=3, name="head_dropout")(features))
    logits = keras.layers.Dense(len(GLOSSES), dtype="float32", name="logits")(features)
    return keras.Model(inputs, logits, name="tiny"), watch


@pytest.mark.parametrize(
    ("first_epoch", "epochs", "dropping"), [(0, 4, [False, False, True, True]), (2, 1, [True])]
)
def test_the_step_drops_from_the_epoch_on_after_a_resume_too(first_epoch, epochs, dropping):
    model, watch = model_with_late_dropout()
    witness = Witness(watch)
    fit(tiny_recipe(model), epochs=epochs, first_epoch=first_epoch, callbacks=[witness])
    assert [share < 0.8 for share in witness.shares] == dropping
    np.testing.assert_array_less(0.3, witness.shares)


def test_a_training_that_goes_on_before_the_epoch_holds_it_back():
    model, watch = model_with_late_dropout()
    witness = Witness(watch)
    fit(tiny_recipe(model), epochs=1, first_epoch=1, callbacks=[witness])
    assert witness.shares == [1.0]
