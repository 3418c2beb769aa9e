import itertools

import keras
import numpy as np
import pytest

from sign_keras.models.blocks3d import FoldedMaxPooling3D, ResidualBlock, SymmetricConv3D


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kernel_size", [(1, 1, 1), (3, 1, 1), (1, 3, 3), (3, 3, 3), (3, 7, 7)])
def test_convolution_is_a_3d_one_with_zeros_all_around(kernel_size):
    for strides, shape in itertools.product(
        [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 2)], [(4, 6, 8), (5, 7, 5), (1, 6, 6)]
    ):
        ours = SymmetricConv3D(3, kernel_size, strides, use_bias=True, bias_initializer="normal")
        inputs = noise(2, *shape, 4)
        outputs = ours(inputs)
        padded = keras.layers.ZeroPadding3D([size // 2 for size in kernel_size])(inputs)
        expected = keras.ops.conv(padded, ours.kernel, strides, padding="valid") + ours.bias
        np.testing.assert_allclose(outputs, expected, atol=1e-5, err_msg=f"{strides} {shape}")
        assert ours.compute_output_shape(inputs.shape) == outputs.shape


@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 5), (1, 3, 4)])
@pytest.mark.parametrize("pool_size", [(1, 2, 2), (2, 2, 2)])
def test_folded_pooling_is_3d_pooling(shape, pool_size):
    inputs = noise(2, *shape, 3) - 5  # below the zeros that a wrong padding would bring in
    expected = keras.layers.MaxPooling3D(pool_size, padding="same")(inputs)
    ours = FoldedMaxPooling3D(pool_size)
    np.testing.assert_array_equal(ours(inputs), expected)
    assert ours.compute_output_shape(inputs.shape) == expected.shape


def convolve(x, weight, strides, padding):
    """PyTorch's conv3d, from its definition: x ``[C, T, H, W]``, weight ``[C', C, kt, kh, kw]``."""
    x = np.pad(x, [(0, 0), *((size, size) for size in padding)])
    kernel = weight.shape[2:]
    sizes = [(x.shape[i + 1] - kernel[i]) // strides[i] + 1 for i in range(3)]
    y = np.zeros((len(weight), *sizes))
    for place in itertools.product(*(range(size) for size in sizes)):
        window = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel, strict=True))
        y[(slice(None), *place)] = np.tensordot(weight, x[(slice(None), *window)], 4)
    return y


def normalize(x, state, name):
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].reshape(-1, 1, 1, 1) for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def test_a_factorized_block_computes_what_torchvisions_formulas_say():
    """The block of R(2+1)D, recomputed in NumPy from tensors in PyTorch's layout and by PyTorch's names."""
    from sign_keras.models.torchvision_weights import _places, assign_tensors

    block = ResidualBlock(4, "2plus1d", (2, 2, 2))
    x = noise(1, 4, 6, 6, 2)
    block(x)
    between = (2 * 4 * 27) // (2 * 9 + 3 * 4)
    rng = np.random.default_rng(3)
    shapes = {
        "b.conv1.0.0.weight": (between, 2, 1, 3, 3),
        "b.conv1.0.3.weight": (4, between, 3, 1, 1),
        "b.conv2.0.0.weight": (between, 4, 1, 3, 3),
        "b.conv2.0.3.weight": (4, between, 3, 1, 1),
        "b.downsample.0.weight": (4, 2, 1, 1, 1),
    }
    for name, count in (
        ("conv1.0.1", between),
        ("conv1.1", 4),
        ("conv2.0.1", between),
        ("conv2.1", 4),
        ("downsample.1", 4),
    ):
        shapes |= {f"b.{name}.{part}": (count,) for part in ("weight", "bias", "running_mean", "running_var")}
    state = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    state |= {name: np.abs(value) + 0.5 for name, value in state.items() if name.endswith("running_var")}
    assign_tensors(_places(block, "b"), state, "test")

    def factorized(values, name, strides):
        time, height, width = strides
        values = convolve(values, state[f"{name}.0.0.weight"], (1, height, width), (0, 1, 1))
        values = np.maximum(normalize(values, state, f"{name}.0.1"), 0)
        values = convolve(values, state[f"{name}.0.3.weight"], (time, 1, 1), (1, 0, 0))
        return normalize(values, state, f"{name}.1")

    inputs = x[0].transpose(3, 0, 1, 2)
    features = np.maximum(factorized(inputs, "b.conv1", (2, 2, 2)), 0)
    around = normalize(
        convolve(inputs, state["b.downsample.0.weight"], (2, 2, 2), (0, 0, 0)), state, "b.downsample.1"
    )
    expected = np.maximum(factorized(features, "b.conv2", (1, 1, 1)) + around, 0)
    np.testing.assert_allclose(np.asarray(block(x, training=False))[0].transpose(3, 0, 1, 2), expected, atol=1e-4)
