from itertools import pairwise

import keras
import numpy as np
import pytest

from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.pretrained import load_pretrained
from tests.sign_keras.models.architectures import EVEN, SINGLE, STATISTICS, build, clips, settings
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize(
    ("name", "published"),
    # torchvision's documentation of its weights (num_params), with Kinetics' 400 classes.
    [("r3d", 33_371_472), ("r2plus1d", 31_505_325), ("mc3", 11_695_440)],
)
def test_depth_18_has_the_published_parameters(name, published):
    model = build_model(settings(name, depth=18, width=64), ClipInput(SINGLE, STATISTICS), 400)
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert trainable == published


@pytest.mark.parametrize(("width", "hidden"), [(8, 16), pytest.param(64, 4096, marks=pytest.mark.slow)])
def test_c3d_has_the_papers_parameters(width, hidden):
    # Figure 3 of the paper, for 16 frames of 112 x 112; the published sizes give 78,409,573 for 101 classes.
    wide = [width * factor for factor in (1, 2, 4, 4, 8, 8, 8, 8)]
    expected = sum(27 * before * after + after for before, after in pairwise([3, *wide]))
    expected += (16 * wide[-1] + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * 101
    sampling = SamplingSpec(num_frames=16, height=112, width=112)
    model = build_model(settings("c3d", width=width, hidden_units=hidden), ClipInput(sampling, STATISTICS), 101)
    assert model.count_params() == expected
    assert (expected == 78_409_573) == (width == 64)


def test_pixels_are_normalised_by_the_dataset_or_by_kinetics():
    frames = clips()
    for normalization, mean, deviation in (
        ("dataset", STATISTICS.mean, STATISTICS.standard_deviation),
        ("kinetics", np.array([110.2008, 100.63983, 95.99475]), np.array([58.14765, 56.46975, 55.332195])),
    ):
        model = build("r3d", normalization=normalization)
        found = keras.Model(model.inputs, model.get_layer("normalization").output)({"frames": frames})
        np.testing.assert_allclose(found, (frames - np.array(mean)) / np.array(deviation), atol=1e-4)
    with pytest.raises(UserError, match=r"model\.normalization=dataset: .* has no mean"):
        build_model(settings("r3d"), ClipInput(EVEN), 5)


def test_weights_of_another_task_come_without_their_head(tmp_path):
    path = tmp_path / "other.weights.h5"
    source = build("r2plus1d", num_glosses=7)
    source.save_weights(path)
    model = build("r2plus1d", num_glosses=5, weights=str(path), pooling="attention", preserve_time=True)
    for name in ("stem", "layer1", "layer4"):
        for one, other in zip(
            source.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    same = build("r2plus1d", num_glosses=7, weights=str(path))
    np.testing.assert_array_equal(same.get_layer("logits").kernel, source.get_layer("logits").kernel)


def test_weights_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "deep.weights.h5"
    build("r3d", SINGLE, depth=18).save_weights(path)
    with pytest.raises(UserError, match=r"deep\.weights\.h5: does not fit the r3d_10: it has 100 tensors"):
        build("r3d", SINGLE, weights=str(path))
    model = build("r3d", SINGLE, width=8)
    build("r3d", SINGLE).save_weights(path)
    with pytest.raises(UserError, match=r"does not fit the r3d_10 .*\(3, 7, 7, 3, 8\)"):
        load_pretrained(model, path, "model.weights")
    with pytest.raises(UserError, match=r"model\.weights=.*none\.weights\.h5: no such file"):
        load_pretrained(model, tmp_path / "none.weights.h5", "model.weights")
    path.write_bytes(b"no HDF5")
    with pytest.raises(UserError, match="does not fit"):
        load_pretrained(model, path, "model.weights")


def test_without_weights_builds_the_same_model_from_nothing():
    config = settings("r3d", weights="gone.weights.h5").without_weights()
    assert config == settings("r3d")
    assert settings("cnn_lstm", backbone_weights="imagenet").without_weights() == settings("cnn_lstm")
