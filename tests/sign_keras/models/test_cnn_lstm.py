import keras
import numpy as np
import pytest

from sign_keras.config import CNNLSTMConfig
from sign_keras.models import build_model
from sign_keras.models.backbones import build_backbone
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.layers import FrameWise, SpatialSoftmax
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError

CONFIG = CNNLSTMConfig(
    architecture="cnn_lstm", backbone_width=0.35, backbone_weights="none", backbone_trainable=True, lstm_units=8
)
EVEN = SamplingSpec(num_frames=3, height=32, width=32)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_dtype_policy("float32")


def clips(count=2, num_frames=3):
    return np.random.default_rng(0).integers(0, 256, (count, num_frames, 32, 32, 3), np.uint8)


def test_shapes_and_parameter_count():
    model = build_model(CONFIG, ClipInput(EVEN), 5)
    assert model({"frames": clips()}).shape == (2, 5)
    # MobileNetV2 of width 0.35 without its classifier has 410,208 parameters (keras.applications).
    lstm, head = 4 * (1280 + 8 + 1) * 8, (8 + 1) * 5
    assert model.count_params() == 410_208 + lstm + head


def test_folding_time_equals_time_distributed():
    backbone = build_backbone("mobilenet_v2", 32, 32, width_multiplier=0.35, weights="none")
    frames = clips().astype(np.float32)
    folded, unrolled = FrameWise(backbone), keras.layers.TimeDistributed(backbone)
    np.testing.assert_allclose(folded(frames), unrolled(frames), atol=1e-5)
    assert folded.compute_output_shape((None, 3, 32, 32, 3)) == (None, 3, 1280)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_logits_in_float32(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    logits = build_model(CONFIG, ClipInput(EVEN), 5)({"frames": clips()})
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()


def test_a_frozen_backbone_has_no_trainable_variables_and_keeps_its_statistics():
    model = build_model(CONFIG.model_copy(update={"backbone_trainable": False}), ClipInput(EVEN), 5)
    assert len(model.trainable_variables) == 5  # LSTM kernel, recurrent kernel, bias; head kernel, bias
    backbone = model.get_layer("frame_features")
    before = [np.array(weight) for weight in backbone.get_weights()]
    model({"frames": clips()}, training=True)
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v2_points"])
def test_backbone_weights_come_from_a_file_whatever_the_size(tmp_path, name):
    source = build_backbone(name, 64, 64, width_multiplier=0.35, weights="none")
    path = tmp_path / "backbone.weights.h5"
    source.save_weights(path)
    target = build_backbone(name, 32, 32, width_multiplier=0.35, weights=str(path))
    for a, b in zip(source.get_weights(), target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_backbone_weights_that_are_missing_or_do_not_fit_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        build_backbone("mobilenet_v2", 32, 32, width_multiplier=0.35, weights=str(tmp_path / "none.weights.h5"))
    path = tmp_path / "other.weights.h5"
    build_backbone("mobilenet_v2", 32, 32, width_multiplier=0.5, weights="none").save_weights(path)
    with pytest.raises(UserError, match=r"other\.weights\.h5: does not fit"):
        build_backbone("mobilenet_v2", 32, 32, width_multiplier=0.35, weights=str(path))


def test_points_backbone_refuses_sizes_that_its_pyramid_cannot_halve():
    with pytest.raises(UserError, match="multiples of 32"):
        build_backbone("mobilenet_v2_points", 48, 48, width_multiplier=0.35, weights="none")


def test_spatial_softmax_finds_a_bright_spot():
    maps = np.zeros((1, 5, 9, 2), np.float32)
    maps[0, 0, 8, 0] = maps[0, 2, 4, 1] = 50.0
    x0, x1, y0, y1, peak0, peak1 = np.asarray(SpatialSoftmax()(maps))[0]
    np.testing.assert_allclose([x0, y0], [2 * 8.5 / 9 - 1, 2 * 0.5 / 5 - 1], atol=1e-5)
    np.testing.assert_allclose([x1, y1], [0, 0], atol=1e-5)
    np.testing.assert_allclose([peak0, peak1], 1, atol=1e-5)
    flat = np.asarray(SpatialSoftmax()(np.ones((1, 4, 4, 1), np.float32)))[0]
    np.testing.assert_allclose(flat, [0, 0, 1 / 16], atol=1e-6)
