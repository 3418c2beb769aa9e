"""Recomputing in the backward pass changes what is kept in memory, nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.sign_keras.models.architectures import NUM_GLOSSES, build, clips


def one_step(name, remat, compiled, **changes):
    """Loss, gradients and all weights after a training step's forward and backward pass."""
    keras.utils.set_random_seed(0)
    model = build(name, remat=remat, dropout=0.0, **changes)
    frames, labels = clips(count=3), np.array([0, 3, NUM_GLOSSES - 1])
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model({"frames": frames}, training=True))
        return loss, tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    loss, gradients = (tf.function(step) if compiled else step)()
    return float(loss), [np.asarray(gradient) for gradient in gradients], model.get_weights()


@pytest.mark.parametrize(
    ("name", "compiled"),
    [
        pytest.param("r2plus1d", True, marks=pytest.mark.slow),
        ("r3d", False),
        ("c3d_preserving_time", True),
        ("c3d_preserving_time", False),
    ],
)
def test_gradients_and_batch_statistics_are_the_same(name, compiled):
    loss, gradients, weights = one_step(name, False, compiled)
    again, recomputed, weights_again = one_step(name, True, compiled)
    assert loss == pytest.approx(again, abs=1e-5)
    assert max(np.abs(gradient).max() for gradient in gradients) > 1e-3
    for one, other in zip(gradients, recomputed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-3)
    # A second pass over the statistics would move them twice.
    for one, other in zip(weights, weights_again, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_insides_of_blocks_are_not_kept():
    """What the backward pass takes from the forward one, as TensorFlow's graph shows it."""

    def kept(remat):
        keras.utils.set_random_seed(0)
        model = build("r2plus1d", remat=remat)
        graph = tf.function(lambda frames: model({"frames": frames}, training=True))
        concrete = graph.get_concrete_function(tf.TensorSpec((2, 5, 32, 48, 3), tf.uint8))
        forward, _ = concrete._delayed_rewrite_functions.forward_backward()
        sizes = [output.shape.num_elements() or 0 for output in forward.graph.outputs]
        return sum(size for size in sizes if size > 1000)

    assert kept(True) < 0.5 * kept(False)
