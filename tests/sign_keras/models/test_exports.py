"""Every architecture becomes a TFLite file of builtin operators that answers as the model does."""

import keras
import numpy as np
import pytest

from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.saved_model import write_saved_model
from sign_keras.export.tflite import count_ops
from sign_keras.inference.info import OUTPUT, SIGNATURE
from tests.sign_keras.models.architectures import PADDED, build, clips, lively

OTHERS = ("r3d_preserving_time", "c3d_preserving_time", "mc3", "frame_classifier")


@pytest.mark.parametrize(
    "name", ["r3d", "r2plus1d", "c3d", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_tflite_answers_as_the_model(name, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    model = lively(build(name, PADDED))
    write_saved_model(model, tmp_path / "saved", batch_size=1)
    path = tmp_path / "model.tflite"
    # Operators that are not builtin are refused by the converter.
    assert convert_saved_model(str(tmp_path / "saved"), str(path), "none") == ""
    inputs = {"frames": clips(PADDED), "frame_mask": np.array([[True] * 5, [True, True, True, False, False]])}
    expected = model(inputs, training=False)
    runner = Interpreter(str(path)).get_signature_runner(SIGNATURE)
    for index in range(2):
        found = runner(**{key: value[index : index + 1] for key, value in inputs.items()})[OUTPUT]
        np.testing.assert_allclose(found[0], expected[index], atol=1e-4)
    if name == "r2plus1d":  # fast on phones, and to be quantised: no 3D operators
        assert not any("3D" in op for op in count_ops(path))
