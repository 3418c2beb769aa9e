"""A stream through a CNN-LSTM, frame by frame: after each frame it says what the model says of the clip so far."""

import keras
import numpy as np
import pytest

from sign_keras.config import CNNLSTMConfig, Config
from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.saved_model import write_saved_model
from sign_keras.inference.info import OUTPUT, SIGNATURE, STEP
from sign_keras.models import build_model
from sign_keras.models.clip_inputs import ClipInput
from sign_keras.models.layers import Motion
from sign_keras.models.motion_beside import MotionBeside
from sign_keras.models.streaming import build_step_model, initial_state
from tests.sign_keras.models.architectures import lively
from tfrecords_tools.clips import SamplingSpec

T = 5
SAMPLING = SamplingSpec(num_frames=T, frame_rate=10.0, height=32, width=32)
POINTS = {"backbone": "mobilenet_v2_points", "motion_lags": (1, 3), "pooling": "mean"}
PLAIN = {"backbone": "mobilenet_v2", "motion_lags": (2,), "pooling": "last"}


def build(**changes):
    keras.utils.set_random_seed(0)
    config = CNNLSTMConfig(
        architecture="cnn_lstm",
        backbone_width=0.35,
        backbone_weights="none",
        backbone_trainable=True,
        lstm_units=8,
        causal=True,
        **changes,
    )
    return lively(build_model(config, ClipInput(SAMPLING), 5))


def clips(count=2):
    return np.random.default_rng(0).integers(0, 256, (count, T, 32, 32, 3), np.uint8)


def so_far(frames, num_frames):
    """The clips of the first frames, padded as clips are."""
    padded = frames[:, np.minimum(np.arange(T), num_frames - 1)]
    return {"frames": padded, "frame_mask": np.tile(np.arange(T) < num_frames, (len(frames), 1))}


@pytest.mark.parametrize("changes", [POINTS, pytest.param(PLAIN, marks=pytest.mark.slow)], ids=["points", "plain"])
def test_after_each_frame_it_says_what_the_clip_so_far_says(changes):
    model = build(**changes)
    step, frames = build_step_model(model), clips()
    state, answers = np.asarray(initial_state(model, 2)), []
    for frame in range(T):
        outputs = step({"frames": frames[:, frame : frame + 1], "state": state})
        state = np.asarray(outputs["state"])
        answers.append(np.asarray(outputs["logits"]))
    cuts = [so_far(frames, num_frames) for num_frames in range(1, T + 1)]
    expected = model({name: np.concatenate([cut[name] for cut in cuts]) for name in cuts[0]}, training=False)
    np.testing.assert_allclose(np.concatenate(answers), expected, atol=1e-5)
    assert np.abs(np.diff(answers, axis=0)).max() > 1e-3


def test_exports_stream_as_the_model_does(tmp_path):
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = build(**POINTS)
    write_saved_model(model, tmp_path / "saved", batch_size=1, step_model=build_step_model(model))
    assert convert_saved_model(str(tmp_path / "saved"), str(tmp_path / "model.tflite"), "none") == ""
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    saved = tf.saved_model.load(str(tmp_path / "saved")).signatures
    steps = {
        "saved": lambda **inputs: {name: value.numpy() for name, value in saved[STEP](**tensors(inputs)).items()},
        "tflite": interpreter.get_signature_runner(STEP),
    }
    frames = clips(1)
    expected = np.asarray(model(so_far(frames, T), training=False))
    np.testing.assert_allclose(
        interpreter.get_signature_runner(SIGNATURE)(**so_far(frames, T))[OUTPUT], expected, atol=1e-5
    )
    for step in steps.values():
        state = np.asarray(initial_state(model))
        for frame in range(T):
            outputs = step(frames=frames[:, frame : frame + 1], state=state)
            state = outputs["state"]
        np.testing.assert_allclose(outputs[OUTPUT], expected, atol=1e-5)


def tensors(inputs):
    import tensorflow as tf

    return {name: tf.constant(value) for name, value in inputs.items()}


@pytest.mark.parametrize("num_moving", [None, 2])
def test_motion_beside_features_is_that_of_motion(num_moving):
    features = np.random.default_rng(0).normal(size=(2, 6, 3)).astype(np.float32)
    layer = MotionBeside((1, 4), num_moving)
    expected = np.concatenate([features, Motion((1, 4))(features[..., :num_moving])], axis=-1)
    np.testing.assert_allclose(layer(features), expected, atol=1e-6)
    assert layer.compute_output_shape((2, 6, 3)) == expected.shape
    state = layer.initial_state(2)
    for frame in range(6):
        found, state = layer.step(features[:, frame : frame + 1], state)
        np.testing.assert_allclose(found[:, 0], expected[:, frame], atol=1e-6)


def test_a_causal_configuration_needs_a_rate(tiny_config):
    with pytest.raises(ValueError, match=r"sampling\.frame_rate: missing"):
        tiny_config(model={"causal": True})
    config: Config = tiny_config(model={"causal": True}, sampling={"frame_rate": 6.0})
    assert config.model.is_causal
    assert not tiny_config().model.is_causal
