"""ONNX files, for onnxruntime on servers, in browsers and in programs without TensorFlow.

The batch stays open. An ONNX file holds one function, so that of a stream, ``step``, is a file of its own beside
it: ``NAME_step.onnx``.
"""

import importlib.util
import tempfile
from collections import Counter
from pathlib import Path

import keras
from loky.process_executor import BrokenProcessPool

from sign_keras.export.conversion import convert_to_onnx, elsewhere
from sign_keras.export.saved_model import write_saved_model
from sign_keras.inference.info import SIGNATURE, STEP, onnx_step_path
from tfrecords_tools.command_line import UserError

NEEDED = ("onnx", "onnxruntime", "tf2onnx")


def check_packages() -> None:
    """Raises UserError where ONNX's packages are not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--formats onnx: not installed: {', '.join(missing)}; they come with an extra: "
            "pip install 'sign_keras[onnx]'"
        )


def write_onnx(model: keras.Model, path: Path, step_model: keras.Model | None = None) -> list[Path]:
    """Converts a model.

    Args:
        model: see ``write_saved_model``.
        path: to write.
        step_model: see ``write_saved_model``; written to ``onnx_step_path(path)``.

    Returns:
        The files.

    Raises:
        UserError: the converter refuses the model or crashes.
    """
    wanted = {SIGNATURE: path} | ({} if step_model is None else {STEP: onnx_step_path(path)})
    with tempfile.TemporaryDirectory() as scratch:
        write_saved_model(model, Path(scratch), step_model=step_model)
        with elsewhere() as pool:
            for signature, file in wanted.items():
                try:
                    fault = pool.submit(convert_to_onnx, scratch, str(file), signature).result()
                except BrokenProcessPool:
                    raise UserError("onnx: tf2onnx crashed on this model; choose another of --formats") from None
                if fault:
                    raise UserError(f"onnx: tf2onnx refuses this model: {fault}")
    return list(wanted.values())


def count_onnx_ops(path: Path) -> dict[str, int]:
    """How many of each op an ONNX file holds, bodies of its loops included, most frequent first."""
    import onnx

    counts = Counter[str]()

    def count(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            counts[node.op_type] += 1
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    count(attribute.g)

    count(onnx.load(str(path)).graph)
    return dict(counts.most_common())
