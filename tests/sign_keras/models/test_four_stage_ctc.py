"""The four-stage model: shapes, ablation rows, padding, saving, what its stages say."""

from typing import Any

import keras
import numpy as np
import pydantic
import pytest

from sign_keras.config import FourStageCTCConfig, ModelConfig
from sign_keras.ctc.labels import frames_of_logits, logit_frames
from sign_keras.models import build_model, stage_names
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.map_backbone import GridPooling, with_map
from sign_keras.models.stages import SHOWN, stage_tensors, with_stages
from tests.sign_keras.models.architectures import clips, lively
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError

NUM_GLOSSES, T = 5, 6
SAMPLING = SamplingSpec(num_frames=T, height=32, width=32, frame_rate=10)
FRAGMENT: dict[str, Any] = {
    "architecture": "four_stage_ctc",
    "backbone_weights": "none",
    "backbone_trainable": True,
    "grid": 2,
    "width": 6,
    "selection": {"units": 3},
    "alignment": {"width": 4, "text_width": 7},
    "lstm_units": [3],
}
NONE = {"method": "none"}
# The rows of the ablation: what is left out, and what is then left to learn.
ROWS = {
    "full": ({}, ("alignment", "selection", "classification", "ctc")),
    "no_keyframe_selection": ({"selection": NONE}, ("alignment", "classification", "ctc")),
    "no_alignment": ({"alignment": None}, ("selection", "classification", "ctc")),
    "motion": ({"motion_lags": [1, 2]}, ("alignment", "selection", "classification", "ctc")),
    "random_selection": ({"selection": {"method": "random"}}, ("alignment", "classification", "ctc")),
    "ctc_only": ({"alignment": None, "selection": NONE, "classification": "none"}, ("ctc",)),
}


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch: pytest.MonkeyPatch):
    use_tiny_backbone(monkeypatch)
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_dtype_policy("float32")


def settings(**changes: Any) -> FourStageCTCConfig:
    config = pydantic.TypeAdapter(ModelConfig).validate_python(FRAGMENT | changes)
    assert isinstance(config, FourStageCTCConfig)
    return config


def build(num_frames: int = T, **changes: Any) -> keras.Model:
    sampling = SAMPLING.model_copy(update={"num_frames": num_frames})
    return build_model(settings(**changes), ClipInput(sampling), NUM_GLOSSES)


def inputs(frames: np.ndarray, lengths: list[int]) -> dict[str, np.ndarray]:
    return {"frames": frames, "frame_mask": np.arange(frames.shape[1]) < np.array(lengths)[:, None]}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_ablation_has_its_logits_its_losses_and_its_stages(row):
    changes, losses = ROWS[row]
    config, model = settings(**changes), build(**changes)
    assert config.losses == losses
    frames = logit_frames(T, config.frames_per_logit)
    assert model.output.shape == (None, frames, NUM_GLOSSES + 1)
    logits, tensors = with_stages(model, SHOWN)(inputs(clips(SAMPLING, 3), [T, 4, 1]))
    assert np.isfinite(logits).all()
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    expected = {
        "keyframe_indices": (3, frames),
        "frame_scores": (3, T),
        "gloss_similarity": (3, T, NUM_GLOSSES),
        "frame_classes": (3, frames, NUM_GLOSSES),
    }
    there = {
        "keyframe_indices": row not in ("no_keyframe_selection", "ctc_only"),
        "frame_scores": "selection" in losses,
        "gloss_similarity": "alignment" in losses,
        "frame_classes": "classification" in losses,
    }
    assert shapes == {name: shape for name, shape in expected.items() if there[name]}


def test_stages_have_names_of_their_own_for_learning_rates():
    assert stage_names(build()) == [
        "frame_maps",
        "projection",
        "projection_norm",
        "visual_projection",
        "scorer",
        "text",
        "text_projection",
        "lstm1",
        "logits",
        "frame_classes",
    ]


@pytest.mark.parametrize("row", ["full", "motion", "no_keyframe_selection"])
def test_padding_changes_nothing_that_is_real(row):
    """Neither what padded frames hold, nor how many there are."""
    changes, _ = ROWS[row]
    model, longer = lively(build(**changes)), build(T + 3, **changes)
    longer.set_weights(model.get_weights())
    frames, lengths = clips(SAMPLING, 3), [T, 4, 1]
    expected, of_stages = with_stages(model, SHOWN)(inputs(frames, lengths), training=False)
    noise = np.random.default_rng(5).integers(0, 256, (3, T + 3, 32, 32, 3)).astype(np.uint8)
    for clip, length in enumerate(lengths):
        noise[clip, :length] = frames[clip, :length]
    found, of_longer = with_stages(longer, SHOWN)(inputs(noise, lengths), training=False)
    for clip, length in enumerate(lengths):
        real = logit_frames(length, settings(**changes).frames_per_logit)
        np.testing.assert_allclose(found[clip, :real], expected[clip, :real], atol=1e-5)
        assert np.abs(expected[clip, :real]).max() > 1e-4
        for name, tensor in of_stages.items():
            count = real if name in ("keyframe_indices", "frame_classes") else length
            np.testing.assert_allclose(of_longer[name][clip, :count], tensor[clip, :count], atol=1e-5)


def test_saving_keeps_logits_and_stages(tmp_path):
    model = lively(build())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    clip = inputs(clips(SAMPLING, 2), [T, 3])
    found, expected = (with_stages(one)(clip, training=False) for one in (loaded, model))
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6)
    for name, tensor in expected[1].items():
        np.testing.assert_allclose(found[1][name], tensor, atol=1e-6)


def test_a_file_of_weights_fits_with_its_stages_asked_for(tmp_path):
    """Training sees the stages and saves; what loads the file asks for logits alone."""
    model = build()
    with_stages(model).save_weights(tmp_path / "all.weights.h5")
    keras.utils.set_random_seed(1)
    other = build()
    other.load_weights(tmp_path / "all.weights.h5")
    for found, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_logits_and_scores_are_float32_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build()
    keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    logits, tensors = with_stages(model)(inputs(clips(SAMPLING, 2), [T, 2]))
    for name in ("change_logits", "frame_scores", "gloss_similarity", "visual", "frame_classes"):
        assert tensors[name].dtype == "float32"
        assert np.isfinite(tensors[name]).all()
    assert np.isfinite(logits).all()


def test_the_baseline_has_logits_of_every_few_frames():
    config = {"architecture": "resnet_bilstm_ctc", "backbone_weights": "none", "backbone_trainable": True}
    parsed = pydantic.TypeAdapter(ModelConfig).validate_python(config | {"downsampling": 2, "lstm_units": [3, 4]})
    model = lively(build_model(parsed, ClipInput(SAMPLING), NUM_GLOSSES))
    assert stage_names(model) == ["frame_features", "lstm1", "lstm2", "logits"]
    frames = clips(SAMPLING, 2)
    found = np.asarray(model(inputs(frames, [T, 3]), training=False))
    assert found.shape == (2, logit_frames(T, parsed.frames_per_logit), NUM_GLOSSES + 1)
    frames[1, 3:] = 255 - frames[1, 3:]
    np.testing.assert_allclose(model(inputs(frames, [T, 3]), training=False)[1, :2], found[1, :2], atol=1e-5)
    assert stage_tensors(model) == {}


def test_a_single_frame_has_nothing_to_select_from():
    with pytest.raises(UserError, match=r"model.selection.method=motion: sampling.num_frames must be at least 2"):
        build(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "vit", "backbone_preset": "any"}, "vit gives one vector a frame"),
        ({"selection": {"ratio": 0.0001}}, "selection ratio 0.0001"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        settings(**changes)


@pytest.mark.parametrize(("size", "grid"), [(3, 4), (7, 4), (8, 4), (1, 2), (5, 1)])
def test_cells_are_those_of_adaptive_pooling(size, grid):
    maps = np.random.default_rng(0).random((2, size, size, 3)).astype(np.float32)
    found = np.asarray(GridPooling(grid)(maps))
    for row, column in np.ndindex(grid, grid):
        rows, columns = (slice(cell * size // grid, -(-(cell + 1) * size // grid)) for cell in (row, column))
        np.testing.assert_allclose(found[:, row, column], maps[:, rows, columns].mean(axis=(1, 2)), rtol=1e-5)


def test_points_are_in_every_cell():
    pictures = keras.Input((8, 8, 3))
    pyramid = keras.layers.Conv2D(2, 1, name="smooth")(pictures)
    points = keras.layers.GlobalMaxPooling2D(name="points")(pyramid)
    backbone = keras.Model(pictures, points)
    values = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    found = np.asarray(with_map(backbone, 2)(values))
    assert found.shape == (2, 2, 2, 4)
    np.testing.assert_allclose(
        found[..., 2:], np.asarray(backbone(values))[:, None, None].repeat(2, 1).repeat(2, 2)
    )


def test_logits_know_their_frames():
    half = settings(selection={"ratio": 0.5}).frames_per_logit
    spans = frames_of_logits(5, half, np.array([0, 2, 4, 9]))
    assert spans.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert frames_of_logits(5, 2).tolist() == [[0, 2], [2, 4], [4, 5]]


def test_a_model_without_stages_has_none():
    inputs = keras.Input((3,))
    assert stage_tensors(keras.Model(inputs, keras.layers.Dense(2)(inputs))) == {}
