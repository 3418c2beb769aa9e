"""The GRU of feature maps against its equations, one frame after the other."""

import keras
import numpy as np
from keras import ops

from sign_keras.models.conv_gru import ConvGRU


def by_equations(layer: ConvGRU, inputs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Ballas et al. 2016, equations 3 to 6, with plain convolutions."""
    cell, units = layer.states.cell, layer.units

    def convolved(values, kernel):
        return np.asarray(ops.conv(values.astype(np.float32), kernel, padding="same"))

    kernel, bias = (np.asarray(weight) for weight in layer.of_inputs.weights)
    gates, candidate = np.asarray(cell.of_gates.kernel), np.asarray(cell.of_candidate.kernel)
    state = np.zeros((*inputs[:, 0].shape[:-1], units), np.float32)
    states = []
    for frame in range(inputs.shape[1]):
        of_inputs = convolved(inputs[:, frame], kernel) + bias
        update, reset = np.split(1 / (1 + np.exp(-(of_inputs[..., : 2 * units] + convolved(state, gates)))), 2, -1)
        new = np.tanh(of_inputs[..., 2 * units :] + convolved(reset * state, candidate))
        new = (1 - update) * state + update * new
        state = np.where(mask[:, frame, None, None, None], new, state)
        states.append(state)
    return np.stack(states, axis=1)


def test_states_are_those_of_the_equations_and_stay_where_the_mask_is_false():
    keras.utils.set_random_seed(0)
    layer = ConvGRU(3)
    inputs = np.random.default_rng(0).normal(size=(2, 5, 4, 3, 2)).astype(np.float32)
    mask = np.array([[True] * 5, [True, True, False, False, False]])
    found = np.asarray(layer(inputs, mask=mask))
    assert found.shape == layer.compute_output_shape(inputs.shape) == (2, 5, 4, 3, 3)
    expected = by_equations(layer, inputs, mask)
    # What stands in frames that are not real is nobody's business.
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-5)
    unmasked = np.asarray(layer(inputs))
    np.testing.assert_allclose(unmasked, by_equations(layer, inputs, np.ones_like(mask)), atol=1e-5)
