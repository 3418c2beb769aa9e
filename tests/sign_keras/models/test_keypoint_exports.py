"""Every architecture of keypoints becomes a TFLite file of builtin operators that answers as the model does.

Causal ones also take a stream there, frame by frame, and say of its frames so far what the model says of that clip.
"""

import keras
import numpy as np
import pytest

from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.saved_model import write_saved_model
from sign_keras.inference.info import OUTPUT, SIGNATURE, STEP
from sign_keras.models.streaming import build_step_model, initial_state
from tests.sign_keras.models.keypoint_architectures import CAUSAL, FRAGMENTS, build, clips, lively, with_mask

FAST = ("keypoint_gru", "keypoint_conv_transformer")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in FRAGMENTS]
)
def test_tflite_answers_as_the_model(name, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    model = lively(build(name))
    step_model = build_step_model(model) if name in CAUSAL else None
    write_saved_model(model, tmp_path / "saved", batch_size=1, step_model=step_model)
    path = tmp_path / "model.tflite"
    # Operators that are not builtin are refused by the converter.
    assert convert_saved_model(str(tmp_path / "saved"), str(path), "none") == ""
    inputs = with_mask(clips(), [9, 4, 1])
    expected = model(inputs, training=False)
    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner(SIGNATURE)
    for index in range(3):
        found = runner(**{key: value[index : index + 1] for key, value in inputs.items()})[OUTPUT]
        np.testing.assert_allclose(found[0], expected[index], atol=1e-4)
    if step_model is None:
        assert list(interpreter.get_signature_list()) == [SIGNATURE]
        return
    step, state = interpreter.get_signature_runner(STEP), np.zeros(initial_state(model).shape, np.float32)
    for frame in range(inputs["keypoints"].shape[1]):
        outputs = step(keypoints=inputs["keypoints"][:1, frame : frame + 1], state=state)
        streamed, state = outputs[OUTPUT], outputs["state"]
        if frame + 1 in (1, 4):  # of the same clip, cut
            cut = with_mask(inputs["keypoints"][:1], [frame + 1])
            np.testing.assert_allclose(streamed, model(cut, training=False), atol=1e-5)
    np.testing.assert_allclose(streamed, expected[:1], atol=1e-5)
