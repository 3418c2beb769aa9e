"""Every architecture of the table becomes a SavedModel, a TFLite file of builtin ops and an ONNX file."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pydantic
import pytest
import tensorflow as tf
import yaml
from ai_edge_litert.interpreter import Interpreter

from sign_keras.config import ModelConfig
from sign_keras.export.conversion import convert_saved_model, convert_to_onnx
from sign_keras.export.saved_model import write_saved_model
from sign_keras.inference.info import OUTPUT, SIGNATURE
from sign_keras.models import ARCHITECTURES, build_model
from sign_keras.models.clip_inputs import ClipInput
from tests.sign_keras.models import architectures, keypoint_architectures, test_four_stage_ctc, test_keypoint_ctc
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC

SENTENCES_OF_FRAMES = {
    "four_stage_ctc": test_four_stage_ctc.FRAGMENT,
    "resnet_bilstm_ctc": {
        "architecture": "resnet_bilstm_ctc",
        "backbone_weights": "none",
        "backbone_trainable": True,
        "lstm_units": [3],
    },
}


def of_frames(name: str) -> tuple[keras.Model, dict[str, np.ndarray]]:
    model = architectures.lively(architectures.build(name, architectures.PADDED))
    mask = np.array([[True] * 5, [True, True, True, False, False]])
    return model, {"frames": architectures.clips(architectures.PADDED), "frame_mask": mask}


def of_keypoints(name: str) -> tuple[keras.Model, dict[str, np.ndarray]]:
    model = keypoint_architectures.lively(keypoint_architectures.build(name))
    return model, keypoint_architectures.with_mask(keypoint_architectures.clips(2), [9, 5])


def of_sentences(name: str) -> tuple[keras.Model, dict[str, np.ndarray]]:
    if name == "keypoint_ctc":
        config = pydantic.TypeAdapter(ModelConfig).validate_python(
            yaml.safe_load(test_keypoint_ctc.FRAGMENTS["halved"])
        )
        model = build_model(config, ClipInput(keypoint_architectures.PADDED, layout=MEDIAPIPE_HOLISTIC), 5)
        inputs = keypoint_architectures.with_mask(keypoint_architectures.clips(2), [9, 5])
        return keypoint_architectures.lively(model), inputs
    sampling = test_four_stage_ctc.SAMPLING
    config = pydantic.TypeAdapter(ModelConfig).validate_python(SENTENCES_OF_FRAMES[name])
    model = architectures.lively(build_model(config, ClipInput(sampling), 5))
    return model, test_four_stage_ctc.inputs(architectures.clips(sampling, 2), [6, 4])


CASES: dict[str, Callable[[str], tuple[keras.Model, dict[str, np.ndarray]]]] = {
    **dict.fromkeys(("cnn_lstm", "r3d", "r2plus1d", "mc3", "c3d", "frame_classifier"), of_frames),
    **dict.fromkeys(
        ("keypoint_lstm", "keypoint_gru", "keypoint_transformer", "keypoint_conv_transformer"), of_keypoints
    ),
    **dict.fromkeys(("keypoint_ctc", "resnet_bilstm_ctc", "four_stage_ctc"), of_sentences),
}


def test_the_table_is_covered():
    assert CASES.keys() == ARCHITECTURES.keys()


FAST = ("keypoint_transformer", "r2plus1d")


@pytest.mark.parametrize(
    "name", [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in CASES if name not in FAST)]
)
def test_every_format_answers_as_the_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_tiny_backbone(monkeypatch)
    keras.utils.set_random_seed(0)
    model, inputs = CASES[name](name)
    expected = np.asarray(model(inputs, training=False))
    assert np.abs(expected[0] - expected[1]).max() > 1e-4

    write_saved_model(model, tmp_path / "open")
    signature = tf.saved_model.load(str(tmp_path / "open")).signatures[SIGNATURE]
    found = signature(**{key: tf.constant(values) for key, values in inputs.items()})[OUTPUT]
    np.testing.assert_allclose(found, expected, atol=1e-4, err_msg="SavedModel")

    assert convert_to_onnx(str(tmp_path / "open"), str(tmp_path / "a.onnx"), SIGNATURE) == ""
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    assert {given.name for given in session.get_inputs()} == set(inputs)
    np.testing.assert_allclose(session.run([OUTPUT], inputs)[0], expected, atol=1e-4, err_msg="ONNX")

    write_saved_model(model, tmp_path / "fixed", batch_size=1)
    # Ops that are not builtin are refused by the converter.
    assert convert_saved_model(str(tmp_path / "fixed"), str(tmp_path / "a.tflite"), "none") == ""
    runner = Interpreter(str(tmp_path / "a.tflite")).get_signature_runner(SIGNATURE)
    for clip in range(2):
        found = runner(**{key: values[clip : clip + 1] for key, values in inputs.items()})[OUTPUT]
        np.testing.assert_allclose(found[0], expected[clip], atol=1e-4, err_msg="TFLite")
