"""What every architecture keeps to."""

import keras
import numpy as np
import pytest

from sign_keras.models import input_names, stage_names
from tests.sign_keras.models.architectures import EVEN, FRAGMENTS, PADDED, SINGLE, build, clips, lively, settings

NAMES = list(FRAGMENTS)
RESNET_STAGES = ["stem", "layer1", "layer2", "layer3", "layer4"]
STAGES = {
    "cnn_lstm": ["frame_features", "lstm", "logits"],
    "r3d": [*RESNET_STAGES, "logits"],
    "r3d_preserving_time": [*RESNET_STAGES, "attention_pooling", "logits"],
    "r2plus1d": [*RESNET_STAGES, "logits"],
    "mc3": [*RESNET_STAGES, "logits"],
    "c3d": [*RESNET_STAGES, "fc6", "fc7", "logits"],
    "c3d_preserving_time": [*RESNET_STAGES, "logits"],
    "frame_classifier": ["frame_features", "logits"],
}


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.fixture(scope="module", params=NAMES)
def padded(request):
    """(name, model that takes frames and a mask), with statistics; made once for several tests."""
    keras.utils.set_random_seed(0)
    return request.param, lively(build(request.param, PADDED))


def test_logits_do_not_depend_on_padding_or_on_the_batch(padded):
    name, model = padded
    frames, mask = clips(PADDED), np.array([[True, True, True, False, False], [True] * 5])
    other = frames.copy()
    other[0, 3:] = 255 - other[0, 3:]
    first = np.asarray(model({"frames": frames, "frame_mask": mask}, training=False))
    assert first.shape == (2, 5)
    np.testing.assert_allclose(
        first, model({"frames": other, "frame_mask": mask}, training=False), atol=1e-6, err_msg=name
    )
    # The same frames count where they are real.
    everything = np.ones_like(mask)
    unmasked = model({"frames": frames, "frame_mask": everything}, training=False)
    assert np.abs(unmasked - np.asarray(model({"frames": other, "frame_mask": everything}))).max() > 1e-5
    singles = [
        model({"frames": frames[i : i + 1], "frame_mask": mask[i : i + 1]}, training=False) for i in range(2)
    ]
    np.testing.assert_allclose(first, np.concatenate(singles), atol=1e-5)


def test_stages_are_top_level_layers_in_order_and_can_be_frozen(padded):
    name, model = padded
    # A file of this architecture's weights, and training's settings, speak of these.
    assert [stage.rstrip("0123456789_") for stage in stage_names(model)] == [
        stage.rstrip("0123456789_") for stage in STAGES[name]
    ]
    assert stage_names(model) == STAGES[name]
    assert {tensor.name for tensor in model.inputs} == set(input_names(settings(name), PADDED))
    stage = model.get_layer(stage_names(model)[0])
    num_trainable = len(model.trainable_variables)
    stage.trainable = False
    try:
        assert len(model.trainable_variables) < num_trainable
        before = [np.array(weight) for weight in stage.get_weights()]
        model({"frames": clips(PADDED), "frame_mask": np.ones((2, 5), bool)}, training=True)
        for old, new in zip(before, stage.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    finally:
        stage.trainable = True


def test_saving_and_loading_keeps_the_logits(padded, tmp_path):
    _, model = padded
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs = {"frames": clips(PADDED), "frame_mask": np.array([[True] * 5, [True, False, False, False, False]])}
    np.testing.assert_array_equal(model(inputs, training=False), loaded(inputs, training=False))


@pytest.mark.parametrize("name", NAMES)
def test_a_single_frame_is_a_clip(name):
    model = lively(build(name, SINGLE))
    logits = np.asarray(model({"frames": clips(SINGLE)}, training=False))
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


@pytest.mark.parametrize("name", ["r3d", "r2plus1d", "c3d", "frame_classifier"])
def test_mixed_precision_keeps_logits_in_float32(name):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    logits = build(name)({"frames": clips()})
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("name", ["r3d", "r2plus1d", "mc3", "c3d_preserving_time"])
def test_preserving_time_keeps_every_frame_up_to_the_pool(name):
    changes = {} if name == "mc3" else {"preserve_time": True}
    model = build(name, EVEN, **changes)
    assert model.get_layer("layer4").output.shape[1] == 5
    if changes:
        standard = build("c3d" if name.startswith("c3d") else name, EVEN)
        assert standard.get_layer("layer4").output.shape[1] == 1
