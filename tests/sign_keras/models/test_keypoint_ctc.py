"""The sentence model of keypoints: shapes, parameters, padding, saving, streams."""

import keras
import numpy as np
import pydantic
import pytest
import yaml

from sign_keras.config import ModelConfig
from sign_keras.ctc.labels import logit_frames
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.streaming import build_step_model, initial_state
from sign_keras.models.time_downsampling import TimeDownsampling
from tests.sign_keras.models.keypoint_architectures import NUM_GLOSSES, PADDED, clips, lively, with_mask
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC, KeypointLayout

FRAGMENTS = {
    "whole": """
        architecture: keypoint_ctc
        dim: 8
        heads: 2
        conv_blocks: 1
        kernel_size: 5
        padding: same
        top_units: 12
        """,
    "halved": """
        architecture: keypoint_ctc
        dim: 8
        stages: 1
        conv_blocks: 1
        transformer_blocks: 0
        kernel_size: 4
        padding: same
        top_units: 12
        downsampling: 2
        lstm_units: [3, 4]
        lstm_dropout: 0.2
        """,
    "causal": """
        architecture: keypoint_ctc
        causal: true
        features: {causal: true, missing: hold}
        dim: 8
        stages: 1
        conv_blocks: 2
        transformer_blocks: 0
        kernel_size: 5
        top_units: 12
        lstm_units: [4]
        """,
}
T, POINTS = PADDED.num_frames, len(MEDIAPIPE_HOLISTIC.names)


def build(name: str, num_frames: int = T, **changes: object) -> keras.Model:
    config = pydantic.TypeAdapter(ModelConfig).validate_python(yaml.safe_load(FRAGMENTS[name]) | changes)
    sampling = PADDED.model_copy(update={"num_frames": num_frames})
    return build_model(config, ClipInput(sampling, layout=MEDIAPIPE_HOLISTIC), NUM_GLOSSES)


@pytest.mark.parametrize(
    ("name", "changes", "moments"),
    [("whole", {}, 9), ("halved", {}, 5), ("halved", {"downsampling": 4}, 3), ("causal", {}, 9)],
)
def test_a_logit_for_the_blank_and_each_gloss_in_every_moment(name, changes, moments):
    model = build(name, **changes)
    assert model.output.shape == (None, moments, NUM_GLOSSES + 1)
    assert logit_frames(T, changes.get("downsampling", 2 if name == "halved" else 1)) == moments


def test_parameters_are_those_of_its_layers():
    model = build("halved")
    num_features = model.get_layer("features").num_features
    frame_network = num_features * 8 + 8 * 4  # stem, its norm
    # A convolution block: widen, kernel of 4 frames, norm, one kernel of channel attention over 5, narrow.
    frame_network += 8 * 16 + 16 + 4 * 16 + 4 * 16 + 5 + 16 * 8 + 8
    top = 8 * 12 + 12
    first, second = (2 * 4 * units * (inputs + units + 1) for inputs, units in ((12, 3), (6, 4)))
    assert model.count_params() == frame_network + top + first + second + (8 + 1) * (NUM_GLOSSES + 1)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_padding_changes_no_real_logit(name):
    """Neither what padded frames hold, nor how many there are."""
    keras.utils.set_random_seed(0)
    model, longer = lively(build(name)), build(name, num_frames=T + 5)
    longer.set_weights(model.get_weights())
    lengths = [T, 5, 1]
    keypoints = clips()
    expected = np.asarray(model(with_mask(keypoints, lengths), training=False))
    noise = np.where((np.arange(T) < np.array(lengths)[:, None])[..., None, None], keypoints, 77.0)
    padded = np.concatenate([noise, np.full((3, 5, POINTS, 3), -3.0)], axis=1).astype(np.float32)
    found = np.asarray(longer(with_mask(padded, lengths), training=False))
    for clip, length in enumerate(lengths):
        real = logit_frames(length, 2 if name == "halved" else 1)
        np.testing.assert_allclose(found[clip, :real], expected[clip, :real], atol=1e-5)
        assert np.abs(expected[clip, :real]).max() > 1e-3


@pytest.mark.parametrize("name", FRAGMENTS)
def test_saving_keeps_the_logits(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = lively(build(name))
    model.save(tmp_path / "model.keras")
    inputs = with_mask(clips(), [T, 5, 2])
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(inputs, training=False), model(inputs, training=False), atol=1e-6)


def test_logits_are_float32_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("halved")
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert np.isfinite(model(with_mask(clips(), [T, 5, 2]), training=False)).all()


def test_a_stream_has_the_logits_of_each_frame_of_the_clip():
    keras.utils.set_random_seed(0)
    model = lively(build("causal"))
    step, keypoints = build_step_model(model), clips()
    state, streamed = np.asarray(initial_state(model, 3)), []
    for frame in range(T):
        outputs = step({"keypoints": keypoints[:, frame : frame + 1], "state": state})
        streamed.append(np.asarray(outputs["logits"]))
        state = np.asarray(outputs["state"])
    expected = model(with_mask(keypoints, [T] * 3), training=False)
    np.testing.assert_allclose(np.concatenate(streamed, axis=1), expected, atol=1e-5)


def test_no_stream_goes_through_a_model_that_reads_both_ways():
    with pytest.raises(UserError, match="looks at the whole clip"):
        build_step_model(build("halved"))


def test_points_are_named_where_a_layout_is_no_bodys():
    """Six coordinates a frame, as two hands and a nose have."""
    layout = KeypointLayout.from_names("points", ("left_hand/centre", "right_hand/centre", "head/nose"), ())
    features = {
        "points": ["left_hand/centre", "right_hand/centre", "head/nose"],
        "center": "points",
        "scale": "none",
        "canonical_hand": False,
        "hand_relative": False,
        "presence": False,
        "differences": [],
    }
    values = yaml.safe_load(FRAGMENTS["halved"]) | {"features": features}
    config = pydantic.TypeAdapter(ModelConfig).validate_python(values)
    model = build_model(config, ClipInput(PADDED, layout=layout), NUM_GLOSSES)
    assert model.get_layer("features").num_features == 6
    keypoints = np.random.default_rng(0).random((2, T, 3, 3)).astype(np.float32)
    moved = keypoints + np.float32(0.2)  # the middle of the points is at 0 wherever it was
    lengths = [T, 4]
    np.testing.assert_allclose(
        model(with_mask(keypoints, lengths), training=False),
        model(with_mask(moved, lengths), training=False),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"downsampling": 2}, "downsampling: a stream has logits after every frame"),
        ({"transformer_blocks": 1}, "transformer_blocks: attention looks at the whole clip"),
        ({"padding": "same"}, "padding: same looks at frames to come"),
    ],
)
def test_what_is_not_causal_is_refused(changes, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        build("causal", **changes)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_downsampling_is_the_mean_of_real_frames(factor):
    values = np.random.default_rng(0).random((3, 9, 2)).astype(np.float32)
    lengths = [9, 5, 0]
    mask = np.arange(9) < np.array(lengths)[:, None]
    layer = TimeDownsampling(factor)
    found, kept = np.asarray(layer(values, mask=mask)), np.asarray(layer.mask_of_moments(mask))
    assert found.shape == (3, *layer.compute_output_shape((3, 9, 2))[1:])
    for clip, length in enumerate(lengths):
        assert kept[clip].sum() == logit_frames(length, factor)
        for moment in range(found.shape[1]):
            frames = values[clip, moment * factor : min((moment + 1) * factor, length)]
            expected = frames.mean(axis=0) if len(frames) else np.zeros(2)
            np.testing.assert_allclose(found[clip, moment], expected, rtol=1e-6)
