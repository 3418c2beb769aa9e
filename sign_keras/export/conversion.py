"""Converters, in a process of their own: they can crash, and they talk a great deal.

Light to import: in that process TensorFlow is loaded with its chatter silenced, and Keras not at all.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import loky
import numpy as np

from sign_keras.export.eight_bits import convert_in_8_bits
from sign_keras.export.fine_tuning_work import FineTuned, FineTuningWork, Weights
from sign_keras.inference.info import NEW
from tfrecords_tools.command_line import quiet_stderr
from tfrecords_tools.processes import start_pool

MESSAGE_CHARACTERS = 300
ONNX_OPSET = 17


@contextlib.contextmanager
def elsewhere(**environment: str) -> Iterator[loky.ProcessPoolExecutor]:
    """A process without a GPU: a converter can take its own down, and here that would be the training's. It ends
    with this one.

    Args:
        environment: variables of that process.
    """
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    pool = start_pool(1, {**quiet, **environment})
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def convert_saved_model(
    directory: str, path: str, quantization: str, examples: str = "", float_layers: Sequence[str] = ()
) -> str:
    """Converts a SavedModel of fixed shapes.

    Args:
        directory: the SavedModel.
        path: of the ``.tflite`` file to write.
        quantization: of ``targets.QUANTIZATIONS``; see ``write_tflite``.
        examples: of ``int8``: a folder of ``NAME.npy``, ``[N, ...]`` for each input; see ``representative``.
        float_layers: see ``eight_bits.convert_in_8_bits``.

    Returns:
        Why it could not be done; empty when the file is written.
    """
    with quiet_stderr():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(directory)  # with all of its signatures
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantization != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            if quantization == "int8":
                content = convert_in_8_bits(converter, Path(examples), float_layers)
            else:
                content = converter.convert()
        except Exception as error:  # the converter's own class, and whatever MLIR's bindings throw
            return _essence(str(error)) or type(error).__name__
        Path(path).write_bytes(content)
    return ""


def convert_to_onnx(directory: str, path: str, signature: str) -> str:
    """Converts one signature of a SavedModel, whose batch may be open, to an ONNX file.

    An output that is called as an input is, ``state``, gets ``inference.info.NEW`` in front.

    Args:
        directory: the SavedModel.
        path: of the ``.onnx`` file to write.
        signature: its name.

    Returns:
        Why it could not be done; empty when the file is written.
    """
    with quiet_stderr():
        import logging

        import tensorflow as tf
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        loaded = tf.saved_model.load(directory)
        function = loaded.signatures[signature]
        specs = [
            tf.TensorSpec(spec.shape, spec.dtype, name=name)
            for name, spec in function.structured_input_signature[1].items()
        ]

        def by_place(*tensors: Any) -> Any:
            given = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
            return {NEW * (name in given) + name: value for name, value in function(**given).items()}

        traced = tf.function(by_place, input_signature=specs)
        try:
            tf2onnx.convert.from_function(
                traced,
                input_signature=specs,
                opset=ONNX_OPSET,
                output_path=path,
                custom_op_handlers={"SelectV2": (_as_where, [])},
            )
        except Exception as error:  # whatever its rewriters throw
            return _essence(str(error)) or type(error).__name__
    return ""


def fine_tune_elsewhere(
    work: FineTuningWork, weights: Weights, expected: list[np.ndarray], progress: bool
) -> FineTuned:
    """Fine-tunes a frame backbone; of processes with TF_USE_LEGACY_KERAS=1.

    Args:
        work: what to do.
        weights: the run's.
        expected: what the run's network makes of the first frames of ``held_out_frames``, by output.
        progress: whether to show a bar where there is a terminal.
    """
    terminal = os.dup(2) if progress else None
    with quiet_stderr():
        from sign_keras.export.legacy_keras import fine_tune

        return fine_tune(work, weights, expected, terminal)


def _as_where(context: Any, node: Any, name: str, arguments: Any) -> Any:
    """tf2onnx blends by products, in which a missing landmark, NaN, spoils what is chosen in its place."""
    del context, name, arguments
    node.type = "Where"
    node.domain = ""
    return node


def _essence(message: str) -> str:
    """What a converter's message, which dumps the whole graph, says is wrong; on one line."""
    ops = re.findall(r"^(?:Flex|Custom|TF Select) ops: (.+)$", message, re.MULTILINE)
    if ops:
        return f"TFLite has no builtin op for {', '.join(dict.fromkeys(ops))}"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line] or lines
    return errors[0][:MESSAGE_CHARACTERS] if errors else ""
