import keras
import numpy as np
import pytest

from sign_keras.models.streaming import build_step_model, initial_state
from tests.sign_keras.models.keypoint_architectures import (
    CAUSAL,
    FRAGMENTS,
    NUM_GLOSSES,
    PADDED,
    build,
    clips,
    lively,
    settings,
    with_mask,
)
from tfrecords_tools.command_line import UserError

T = PADDED.num_frames


def stream(step: keras.Model, keypoints: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits after each frame ``[B, T, V]``, and the last state."""
    logits = []
    for frame in range(keypoints.shape[1]):
        outputs = step({"keypoints": keypoints[:, frame : frame + 1], "state": state})
        logits.append(outputs["logits"])
        state = np.asarray(outputs["state"])
    return np.stack(logits, axis=1), state


@pytest.fixture(scope="module", params=CAUSAL)
def causal(request):
    """(model of clips, model of frames), with statistics."""
    keras.utils.set_random_seed(0)
    model = lively(build(request.param))
    return model, build_step_model(model)


def test_logits_after_each_frame_are_those_of_the_clip_so_far(causal):
    model, step = causal
    keypoints = clips()
    streamed, _ = stream(step, keypoints, np.asarray(initial_state(model, len(keypoints))))
    for frame in range(T):
        whole = model(with_mask(keypoints, [frame + 1] * 3), training=False)
        np.testing.assert_allclose(streamed[:, frame], whole, atol=1e-5, err_msg=f"frame {frame}")
    assert np.abs(np.diff(streamed, axis=1)).max() > 1e-4


def test_state_is_all_that_is_remembered(causal):
    """Two streams through one step model do not disturb each other, and a stream can go on from a state."""
    model, step = causal
    keypoints = clips()
    fresh = np.asarray(initial_state(model, 3))
    expected, _ = stream(step, keypoints, fresh)
    _, middle = stream(step, keypoints[:, :4], fresh)
    stream(step, clips(seed=5), fresh)
    rest, _ = stream(step, keypoints[:, 4:], middle)
    np.testing.assert_allclose(rest, expected[:, 4:], atol=1e-6)
    unaware, _ = stream(step, keypoints[:, 4:], fresh)
    assert np.abs(unaware - rest).max() > 1e-4


def test_state_is_one_tensor_that_is_zero_at_first(causal):
    model, step = causal
    state = np.asarray(initial_state(model, 2))
    assert not state.any()
    outputs = step({"keypoints": clips(2)[:, :1], "state": state})
    assert outputs["logits"].shape == (2, NUM_GLOSSES)
    assert outputs["state"].shape == state.shape
    assert outputs["state"].dtype == state.dtype
    assert step.count_params() == model.count_params()  # its very layers


def test_a_model_that_sees_the_whole_clip_is_refused_by_its_layer():
    for name, layer in (
        ("keypoint_lstm_both_ways", "lstm1"),
        ("keypoint_transformer", "positions"),
        ("keypoint_conv_transformer_same", "conv1_1"),
    ):
        assert not settings(name).is_causal
        with pytest.raises(UserError, match=f"layer '{layer}' looks at the whole clip"):
            build_step_model(build(name))
    with pytest.raises(UserError, match=r"features\.causal=false"):
        build_step_model(build("keypoint_lstm"))


def test_configurations_say_what_can_be_streamed():
    assert {name for name in FRAGMENTS if settings(name).is_causal} == set(CAUSAL)
