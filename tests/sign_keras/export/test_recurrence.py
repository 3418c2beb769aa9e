"""Recurrent layers as files have them: the same numbers by another loop."""

import keras
import numpy as np
import pytest

from sign_keras.export.recurrence import recurrence_for_export


def sentence_model(**settings):
    inputs, mask = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    both_ways = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True, **settings))(
        inputs, mask=mask
    )
    last = keras.layers.LSTM(2, **settings)(both_ways, mask=mask)
    return keras.Model([inputs, mask], [both_ways, last, keras.layers.GRU(3)(inputs)])


def lstms(model):
    return [layer for layer in model._flatten_layers() if type(layer) is keras.layers.LSTM]


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("settings", [{}, {"use_bias": False, "recurrent_activation": "hard_sigmoid"}])
def test_the_loop_for_export_gives_what_keras_gives_padding_included(unrolled, settings):
    keras.utils.set_random_seed(1)
    model = sentence_model(**settings)
    for weight in model.weights:  # biases too
        weight.assign(np.random.default_rng(len(weight.shape)).normal(size=weight.shape))
    clips = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)
    mask = np.arange(5) < np.array([[5], [2], [1]])
    expected = model([clips, mask], training=False)
    with recurrence_for_export(model, unrolled=unrolled):
        found = model([clips, mask], training=False)
    for ours, keras_own in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, keras_own, atol=1e-6)


def test_layers_are_as_before_after_the_context():
    model = sentence_model()
    with recurrence_for_export(model, unrolled=True):
        assert all(layer.unroll and "inner_loop" in vars(layer) for layer in lstms(model))
    assert not any(layer.unroll or "inner_loop" in vars(layer) for layer in lstms(model))


def test_inputs_meet_their_weights_once_for_all_frames():
    """So that a loop holds one product a frame, not two."""
    inputs = keras.Input((6, 3))
    model = keras.Model(inputs, keras.layers.LSTM(4)(inputs))

    def products():
        import tensorflow as tf

        graph = tf.function(model).get_concrete_function(tf.TensorSpec((1, 6, 3))).graph
        return sum(node.op in ("MatMul", "BatchMatMulV2", "Einsum") for node in graph.as_graph_def().node)

    with recurrence_for_export(model, unrolled=True):
        assert products() == 1 + 6
