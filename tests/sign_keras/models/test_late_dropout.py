import keras
import numpy as np

from sign_keras.models.heads import classification_head
from sign_keras.models.late_dropout import LateDropout

ONES = np.ones((4, 100), np.float32)


def test_it_drops_from_its_first_epoch_on_and_in_training_alone():
    layer = LateDropout(0.5, first_epoch=3, seed=0)
    assert layer.set_epoch(1)
    np.testing.assert_array_equal(layer(ONES, training=True), ONES)
    assert not layer.set_epoch(2)
    assert layer.set_epoch(3)
    dropped = np.asarray(layer(ONES, training=True))
    assert 0.3 < (dropped == 0).mean() < 0.7
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer(ONES, training=False), ONES)


def test_without_a_training_that_tells_the_epoch_it_is_dropout():
    layer = LateDropout.from_config(LateDropout(0.5, first_epoch=3, seed=0).get_config())
    assert layer.first_epoch == 3
    assert (np.asarray(layer(ONES, training=True)) == 0).any()


def test_heads_have_it_where_dropout_begins_late():
    features = keras.Input((8,))
    for first_epoch, kind in ((1, keras.layers.Dropout), (2, LateDropout)):
        model = keras.Model(features, classification_head(features, 3, 0.5, first_epoch))
        assert type(model.get_layer("head_dropout")) is kind
