"""From a path to an artefact, whatever kind it is."""

from pathlib import Path

from sign_keras.inference.artefact import Artefact
from sign_keras.inference.info import kind_of
from sign_keras.inference.onnx_artefact import OnnxArtefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.saved_model_artefact import SavedModelArtefact
from sign_keras.inference.tflite_artefact import TFLiteArtefact
from sign_keras.run import Run


def load_artefact(path: Path) -> Artefact:
    """Loads a run directory, a SavedModel directory, a ``.tflite`` or an ``.onnx`` file.

    Raises:
        UserError: the path is missing, is none of these, or was not written by this package.
    """
    kind = kind_of(path)
    if kind == "tflite":
        return TFLiteArtefact(path)
    if kind == "onnx":
        return OnnxArtefact(path)
    return SavedModelArtefact(path) if kind == "saved_model" else RunArtefact(Run.load(path))
