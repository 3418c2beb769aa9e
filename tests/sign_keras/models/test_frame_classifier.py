import keras
import numpy as np
import pytest

from sign_keras.models.backbones import APPLICATIONS, build_backbone
from tests.sign_keras.models.architectures import EVEN, NUM_GLOSSES, SINGLE, build, clips, lively
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def test_a_clips_logits_are_the_mean_of_its_frames():
    model = lively(build("frame_classifier", EVEN.model_copy(update={"frame_rate": 10.0})))
    single = build("frame_classifier", SINGLE)
    single.set_weights(model.get_weights())
    frames = clips(count=1)
    by_frame = np.asarray(single({"frames": frames[0][:, None]}, training=False))
    mask = np.array([[True, True, True, False, False]])
    np.testing.assert_allclose(
        model({"frames": frames, "frame_mask": mask}, training=False)[0], by_frame[:3].mean(axis=0), atol=1e-5
    )


def test_parameters_are_the_backbones_and_the_heads():
    # MobileNetV2 of width 0.35 without its classifier has 410,208 parameters (keras.applications).
    assert build("frame_classifier", SINGLE).count_params() == 410_208 + (1280 + 1) * NUM_GLOSSES


def test_a_frozen_backbone_leaves_the_head_alone_to_learn():
    model = build(
        "frame_classifier",
        backbone_trainable=False,
        backbone="mobilenet_v2_points",
        backbone_width=0.35,
        sampling=SamplingSpec(num_frames=1, height=32, width=32),
    )
    assert [variable.path.split("/")[0] for variable in model.trainable_variables] == ["logits", "logits"]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("resnet50", "resnet50"),
        ("densenet121", "densenet"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("resnet50_v2", "resnet_v2"),
    ],
)
def test_pixels_are_scaled_as_the_library_says(name, module):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    scaled = APPLICATIONS[name][1](keras.ops.convert_to_tensor(pictures))
    expected = getattr(keras.applications, module).preprocess_input(pictures.copy())
    np.testing.assert_allclose(scaled, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_every_backbone_gives_one_vector_a_picture(name):
    backbone = build_backbone(name, 64, 64, width_multiplier=1.0, weights="none")
    features = backbone(np.zeros((2, 64, 64, 3), np.float32), training=False)
    assert len(features.shape) == 2
    assert np.isfinite(features).all()


def test_options_that_do_not_go_together_are_named():
    for changes, message in (
        ({"backbone": "resnet50", "backbone_width": 0.5}, "resnet50 has no width multiplier"),
        ({"backbone": "vit", "backbone_width": 1.0}, "backbone_preset: goes with backbone=vit"),
        ({"backbone_preset": "vit_base_patch16_224_imagenet"}, "backbone_preset: goes with backbone=vit"),
        ({"backbone": "mobilenet_v2_torchvision", "backbone_weights": "imagenet"}, "import_weights"),
    ):
        with pytest.raises(ValueError, match=message):
            build("frame_classifier", **changes)
    with pytest.raises(UserError, match=r"model\.backbone=densenet121: Input size must be at least 32x32"):
        build_backbone("densenet121", 16, 16, width_multiplier=1.0, weights="none")


def test_a_vit_without_keras_hub_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(UserError, match=r"pip install 'sign_keras\[vit\]'"):
        build("frame_classifier", backbone="vit", backbone_preset="somewhere", backbone_width=1.0)


def test_a_vit_comes_from_a_local_folder(tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    vit = keras_hub.models.ViTBackbone(
        image_shape=(32, 48, 3), patch_size=(16, 16), num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16
    )
    vit.save_to_preset(tmp_path / "vit")
    changes = {"backbone": "vit", "backbone_preset": str(tmp_path / "vit"), "backbone_width": 1.0}
    model = build("frame_classifier", **changes, backbone_weights="imagenet")
    frames = clips()
    features = vit(frames[:, 0] / 127.5 - 1)[:, 0]
    found = model.get_layer("frame_features").inner(frames[:, 0].astype(np.float32))
    np.testing.assert_allclose(found, features, atol=1e-5)
    with pytest.raises(UserError, match="32 x 48 pixels; set sampling"):
        build("frame_classifier", SINGLE.model_copy(update={"width": 64}), **changes)
