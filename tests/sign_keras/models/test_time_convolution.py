import keras
import numpy as np
import pytest

from sign_keras.models.channel_attention import ChannelAttention
from sign_keras.models.time_convolution import ConvolutionBlock, TimeConvolution
from sign_keras.models.time_mean import TimeMean

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 7, 6)).astype(np.float32)
MASK = np.arange(7) < np.array([[7], [4]])


@pytest.mark.parametrize("kernel_size", [2, 5, 9])
def test_convolution_is_that_of_keras(kernel_size):
    ours = TimeConvolution(kernel_size)
    theirs = keras.layers.DepthwiseConv1D(kernel_size, padding="same", use_bias=False)
    theirs.build(FEATURES.shape)
    expected = theirs(FEATURES)
    ours.build(FEATURES.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(FEATURES), expected, atol=1e-5)
    behind = np.pad(FEATURES, ((0, 0), (kernel_size - 1, 0), (0, 0)))
    causal = TimeConvolution(kernel_size, causal=True)
    valid = keras.layers.DepthwiseConv1D(kernel_size, use_bias=False)
    for layer in (causal, valid):
        layer.build(behind.shape)
        layer.set_weights(theirs.get_weights())
    np.testing.assert_allclose(causal(FEATURES), valid(behind), atol=1e-5)


def test_masked_frames_count_as_zeros():
    layer = TimeConvolution(5)
    cleared = FEATURES * MASK[..., None]
    np.testing.assert_allclose(layer(FEATURES, mask=MASK), layer(cleared), atol=1e-6)


def test_mean_over_time_by_hand():
    values = np.array([[[1.0], [3.0], [100.0]], [[7.0], [8.0], [9.0]], [[1.0], [1.0], [1.0]]], np.float32)
    mask = np.array([[True, True, False], [True, True, True], [False, False, False]])
    np.testing.assert_allclose(TimeMean()(values, mask=mask), [[2], [8], [0]])
    np.testing.assert_allclose(TimeMean()(values)[:, 0], [104 / 3, 8, 1], rtol=1e-6)
    running = np.asarray(TimeMean(running=True)(values, mask=mask))
    np.testing.assert_allclose(running[:2, :, 0], [[1, 2, 2], [7, 7.5, 8]])
    half = TimeMean(dtype="mixed_float16")(np.full((1, 4096, 1), 60.0, np.float32))  # their sum is no float16
    np.testing.assert_allclose(half, [[60]])


def test_channel_attention_by_hand():
    layer = ChannelAttention(kernel_size=3)
    layer.build(FEATURES.shape)
    kernel = np.array([0.5, -1.0, 2.0], np.float32)
    layer.set_weights([kernel.reshape(3, 1, 1)])
    means = np.stack([FEATURES[0].mean(axis=0), FEATURES[1, :4].mean(axis=0)])
    around = np.pad(means, ((0, 0), (1, 1)))
    scores = np.stack([(around[:, c : c + 3] * kernel).sum(axis=1) for c in range(6)], axis=1)
    expected = FEATURES / (1 + np.exp(-scores))[:, None]
    np.testing.assert_allclose(layer(FEATURES, mask=MASK), expected, atol=1e-5)


def test_running_channel_attention_is_that_of_the_clip_so_far():
    clip, running = ChannelAttention(), ChannelAttention(running=True)
    for layer in (clip, running):
        layer.build(FEATURES.shape)
    running.set_weights(clip.get_weights())
    found = np.asarray(running(FEATURES))
    for frame in range(7):
        np.testing.assert_allclose(found[:, frame], clip(FEATURES[:, : frame + 1])[:, -1], atol=1e-6)


def test_block_is_made_of_keras_layers():
    """The block beside the same graph in Keras's own layers, with its weights."""
    block = ConvolutionBlock(5, expansion=3, channel_attention="none", activation="relu")
    block.build(FEATURES.shape)
    block.set_weights([0.1 * RNG.normal(size=w.shape) ** 2 for w in block.get_weights()])
    wide = keras.layers.Dense(18, activation="relu")
    convolve = keras.layers.DepthwiseConv1D(5, use_bias=False)
    norm, narrow = keras.layers.BatchNormalization(), keras.layers.Dense(6)
    inputs = keras.Input((7, 6))
    padded = keras.layers.ZeroPadding1D((4, 0))(wide(inputs))
    graph = keras.Model(inputs, inputs + narrow(norm(convolve(padded))))
    for layer, ours in (
        (wide, block.widen),
        (convolve, block.convolve),
        (norm, block.normalize),
        (narrow, block.narrow),
    ):
        layer.set_weights(ours.get_weights())
    np.testing.assert_allclose(block(FEATURES), graph(FEATURES), atol=1e-4)


def test_steps_need_a_causal_layer():
    for layer in (TimeConvolution(3), ConvolutionBlock(3, padding="same"), ConvolutionBlock(3)):
        layer.build(FEATURES.shape)
        with pytest.raises(ValueError, match="frames to come"):
            layer.step(FEATURES[:, :1], layer.initial_state(2))


def test_dropped_paths_leave_the_input_of_whole_clips():
    keras.utils.set_random_seed(0)
    block = ConvolutionBlock(3, drop_path=0.5)
    features = np.tile(FEATURES[:1], (64, 1, 1))
    change = np.abs(np.asarray(block(features, training=True)) - features).max(axis=(1, 2))
    assert 16 < (change == 0).sum() < 48
    evaluated = np.asarray(block(features, training=False))
    np.testing.assert_allclose(evaluated, evaluated[:1].repeat(64, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        TimeConvolution(3, causal=True),
        TimeMean(running=True),
        ChannelAttention(3, running=True),
        ConvolutionBlock(
            3, expansion=1, padding="same", channel_attention="running", activation="relu", drop_path=0.1
        ),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configurations_go_round(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for built in (layer, again):
        built.build(FEATURES.shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(FEATURES, mask=MASK), again(FEATURES, mask=MASK))
