"""The input layer is builtin operators alone in TFLite, and computes there what it computes here."""

import keras
import numpy as np
import pytest

from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.saved_model import write_saved_model
from sign_keras.inference.info import OUTPUT, SIGNATURE
from tests.sign_keras.models.features.keypoint_clips import clip, features, mirrored


@pytest.mark.parametrize(
    "choices",
    [
        {"missing": "interpolate", "coordinates": "xyz", "angles": True, "aspect": 1.5},
        {"missing": "hold", "causal": True, "center": "face", "scale": "points"},
    ],
    ids=["whole clips", "causal"],
)
def test_tflite_computes_the_same_features(choices, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keypoints = keras.Input((8, 543, 3), name="keypoints")
    mask = keras.Input((8,), dtype="bool", name="frame_mask")
    model = keras.Model({"keypoints": keypoints, "frame_mask": mask}, features(**choices)(keypoints, mask=mask))
    write_saved_model(model, tmp_path / "saved", batch_size=1)
    path = tmp_path / "model.tflite"
    # Operators that are not builtin are refused by the converter.
    assert convert_saved_model(str(tmp_path / "saved"), str(path), "none") == ""
    runner = Interpreter(str(path)).get_signature_runner(SIGNATURE)
    for one in (clip(), mirrored(clip(seed=1)), np.full((8, 543, 3), np.nan, np.float32)):
        for real in (8, 5):
            inputs = {"keypoints": one[None], "frame_mask": np.arange(8)[None] < real}
            np.testing.assert_allclose(runner(**inputs)[OUTPUT], model(inputs), atol=1e-5)
