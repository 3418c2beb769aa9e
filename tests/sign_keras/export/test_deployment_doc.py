"""The Python of docs/deployment.md, run as it stands there."""

import re

import numpy as np

from sign_keras.inference.tflite_artefact import TFLiteArtefact
from tests.conftest import REPOSITORY


def test_the_snippet_reads_a_file_and_answers_as_the_package_does(exports, capsys):
    text = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    path = "tflite/cnn_lstm.tflite"
    assert path in code
    exec(compile(code.replace(path, str(exports.tflite)), "docs/deployment.md", "exec"), {})
    gloss, probability = capsys.readouterr().out.split()
    artefact = TFLiteArtefact(exports.tflite)
    inputs = {"frames": np.zeros((1, 3, 32, 32, 3), np.uint8), "frame_mask": np.ones((1, 3), bool)}
    expected = artefact.probabilities(inputs)[0]
    assert gloss == artefact.label_map.glosses[int(expected.argmax())]
    assert abs(float(probability) - expected.max()) < 1e-3
