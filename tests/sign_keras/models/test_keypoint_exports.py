"""Every architecture of keypoints becomes a TFLite file of builtin operators that answers as the model does."""

import keras
import numpy as np
import pytest

from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.saved_model import write_saved_model
from sign_keras.inference.info import OUTPUT, SIGNATURE
from tests.sign_keras.models.keypoint_architectures import FRAGMENTS, build, clips, lively, with_mask

FAST = ("keypoint_gru", "keypoint_conv_transformer")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST else pytest.mark.slow) for name in FRAGMENTS]
)
def test_tflite_answers_as_the_model(name, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    model = lively(build(name))
    write_saved_model(model, tmp_path / "saved", batch_size=1)
    path = tmp_path / "model.tflite"
    # Operators that are not builtin are refused by the converter.
    assert convert_saved_model(str(tmp_path / "saved"), str(path), "none") == ""
    inputs = with_mask(clips(), [9, 4, 1])
    expected = model(inputs, training=False)
    runner = Interpreter(str(path)).get_signature_runner(SIGNATURE)
    for index in range(3):
        found = runner(**{key: value[index : index + 1] for key, value in inputs.items()})[OUTPUT]
        np.testing.assert_allclose(found[0], expected[index], atol=1e-4)
