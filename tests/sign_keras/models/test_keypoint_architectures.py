"""What every architecture that takes keypoints keeps to."""

import keras
import numpy as np
import pytest

from sign_keras.models import build_model, input_names, stage_names
from sign_keras.models.clip_inputs import ClipInput
from tests.sign_keras.models.keypoint_architectures import (
    CAUSAL,
    EVEN,
    FRAGMENTS,
    NUM_GLOSSES,
    PADDED,
    SINGLE,
    build,
    clips,
    lively,
    settings,
    with_mask,
)
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

NAMES = list(FRAGMENTS)
LENGTHS = [9, 4, 1]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.fixture(scope="module", params=NAMES)
def padded(request):
    """(name, model that takes keypoints and a mask), with statistics; made once for several tests."""
    keras.utils.set_random_seed(0)
    return request.param, lively(build(request.param))


def logits(model: keras.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(model(inputs, training=False))


def test_logits_do_not_depend_on_padding_or_on_the_batch(padded):
    name, model = padded
    keypoints = clips()
    first = logits(model, with_mask(keypoints, LENGTHS))
    assert first.shape == (3, NUM_GLOSSES)
    assert np.abs(first[0] - first[1]).max() > 1e-4, name
    other = keypoints.copy()
    for clip, (length, garbage) in enumerate(zip(LENGTHS, (0.0, np.nan, 1e30), strict=True)):
        other[clip, length:] = garbage
    np.testing.assert_allclose(first, logits(model, with_mask(other, LENGTHS)), atol=1e-6, err_msg=name)
    # The same frames count where they are real.
    full = [PADDED.num_frames] * 3
    assert np.abs(logits(model, with_mask(keypoints, full)) - first)[1:].max() > 1e-5
    singles = [logits(model, with_mask(keypoints[i : i + 1], LENGTHS[i : i + 1])) for i in range(3)]
    np.testing.assert_allclose(first, np.concatenate(singles), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["keypoint_lstm_causal", "keypoint_transformer", "keypoint_conv_transformer_same"])
def test_a_padded_clip_gives_the_logits_of_a_model_of_its_length(name):
    """Padding is as nothing, not merely the same whatever it holds."""
    changes = {"positions": "sinusoidal"} if name == "keypoint_transformer" else {}
    long, short = build(name, **changes), build(name, EVEN.model_copy(update={"num_frames": 4}), **changes)
    lively(long)
    short.set_weights(long.get_weights())
    keypoints = clips()
    np.testing.assert_allclose(
        logits(long, with_mask(keypoints, [4, 4, 4])), logits(short, {"keypoints": keypoints[:, :4]}), atol=1e-5
    )


@pytest.mark.parametrize(
    "name", ["keypoint_lstm_both_ways", "keypoint_transformer", "keypoint_conv_transformer", "keypoint_conv_causal"]
)
def test_padding_does_not_change_what_training_learns(name):
    """Neither gradients nor running statistics, in batches of clips of several lengths."""
    import tensorflow as tf

    learned = []
    for garbage in (0.0, np.nan):
        keras.utils.set_random_seed(0)
        model = build(name)
        keypoints = clips()
        for clip, length in enumerate(LENGTHS):
            keypoints[clip, length:] = garbage
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(with_mask(keypoints, LENGTHS), training=True)))
        gradients = tape.gradient(loss, model.trainable_variables)
        learned.append([np.array(value) for value in (*gradients, *model.get_weights())])
    assert all(np.isfinite(value).all() for value in learned[0])
    assert sum(np.abs(value).sum() for value in learned[0][: len(model.trainable_variables)]) > 0
    for plain, garbled in zip(*learned, strict=True):
        np.testing.assert_allclose(plain, garbled, rtol=1e-4, atol=1e-6)


def test_a_clip_in_which_nothing_is_real_has_finite_logits(padded):
    name, model = padded
    keypoints = np.full_like(clips(), np.nan)
    assert np.isfinite(logits(model, with_mask(keypoints, [9, 0, 0]))).all(), name


def test_stages_are_top_level_layers_and_inputs_are_as_named(padded):
    name, model = padded
    assert stage_names(model)[-1] == "logits"
    assert model.get_layer("head_dropout") is not None  # pre-training puts readers in its place
    assert set(model.input) == set(input_names(settings(name), PADDED)) == {"keypoints", "frame_mask"}
    assert input_names(settings(name), EVEN) == ("keypoints",)


def test_saving_and_loading_keeps_the_logits(padded, tmp_path):
    _, model = padded
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = with_mask(clips(), LENGTHS)
    np.testing.assert_array_equal(logits(model, inputs), logits(loaded, inputs))


@pytest.mark.parametrize("name", NAMES)
def test_a_single_frame_is_a_clip(name):
    model = lively(build(name, SINGLE))
    found = logits(model, {"keypoints": clips(num_frames=1)})
    assert np.isfinite(found).all()
    assert np.abs(found[0] - found[1]).max() > 1e-4


@pytest.mark.parametrize("name", ["keypoint_gru", "keypoint_transformer", "keypoint_conv_transformer"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_logits_in_float32(name, policy):
    whole = lively(build(name))
    keras.mixed_precision.set_dtype_policy(policy)
    model = build(name)
    model.set_weights(whole.get_weights())
    inputs = with_mask(clips(), LENGTHS)
    found = model(inputs, training=False)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, logits(whole, inputs), atol=0.1)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "keypoint_conv_transformer" else pytest.mark.slow) for name in NAMES],
)
def test_four_clips_are_learned_by_heart(name):
    model = build(name, EVEN, dropout=0.0)
    # XLA makes depthwise convolutions slow on a CPU.
    model.compile(
        keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    inputs, labels = {"keypoints": clips(4)}, np.arange(4)
    model.fit(inputs, labels, epochs=40, batch_size=4, verbose=0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(inputs, training=True)  # statistics of these clips, for evaluation mode
    np.testing.assert_array_equal(logits(model, inputs).argmax(axis=-1), labels)


def test_records_without_keypoints_are_refused():
    with pytest.raises(UserError, match="takes keypoints, and the records hold none"):
        build_model(settings("keypoint_gru"), ClipInput(EVEN), NUM_GLOSSES)


def test_what_is_called_causal_sees_no_frame_to_come():
    for name in CAUSAL:
        assert settings(name).is_causal
        model = lively(build(name))
        layers = [layer for layer in model.layers if len(layer.output.shape) == 3]
        by_frame = keras.Model(model.input, [layer.output for layer in layers])
        keypoints = clips()
        changed = keypoints.copy()
        changed[:, 6:] = clips(seed=2)[:, 6:]
        inputs = [with_mask(given, [9, 9, 9]) for given in (keypoints, changed)]
        for layer, first, second in zip(layers, *(by_frame(given) for given in inputs), strict=True):
            np.testing.assert_allclose(first[:, :6], second[:, :6], atol=1e-6, err_msg=f"{name} {layer.name}")
            assert np.abs(np.asarray(first - second)[:, 6:]).max() > 1e-4


def test_the_first_place_has_its_published_number_of_parameters():
    """That of hoyso48's ``get_model(dim=192)``, counted from its code: 118 points, 250 signs."""
    config = settings(
        "keypoint_conv_transformer",
        features={
            "points": "islr",
            "center": "face",
            "scale": "points",
            "canonical_hand": False,
            "hand_relative": False,
            "presence": False,
        },
        dim=192,
        heads=4,
        conv_blocks=3,
        kernel_size=17,
        top_units=384,
    )
    model = build_model(config, ClipInput(PADDED, layout=MEDIAPIPE_HOLISTIC), 250)
    assert model.get_layer("features").output.shape[-1] == 118 * 2 * 3
    stem = 708 * 192 + 4 * 192
    block = (192 * 384 + 384) + 17 * 384 + 4 * 384 + 5 + (384 * 192 + 192)
    transformer = 2 * 4 * 192 + 4 * 192 * 192 + 2 * 192 * 384
    head = (192 * 384 + 384) + (384 * 250 + 250)
    assert model.count_params() == stem + 6 * block + 2 * transformer + head == 1_836_568
