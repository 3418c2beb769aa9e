"""TensorFlow's TFLite converter, in a process of its own: it can crash, and it talks a great deal.

Light to import: in that process TensorFlow is loaded with its chatter silenced, and Keras not at all.
"""

import re
from pathlib import Path

from tfrecords_tools.command_line import quiet_stderr

MESSAGE_CHARACTERS = 300


def convert_saved_model(directory: str, path: str, quantization: str) -> str:
    """Converts a SavedModel of fixed shapes.

    Args:
        directory: the SavedModel.
        path: of the ``.tflite`` file to write.
        quantization: ``none``, ``float16`` or ``dynamic``; see ``write_tflite``.

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
            content = converter.convert()
        except Exception as error:  # the converter's own class, and whatever MLIR's bindings throw
            return _essence(str(error)) or type(error).__name__
        Path(path).write_bytes(content)
    return ""


def _essence(message: str) -> str:
    """What a converter's message, which dumps the whole graph, says is wrong; on one line."""
    ops = re.findall(r"^(?:Flex|Custom|TF Select) ops: (.+)$", message, re.MULTILINE)
    if ops:
        return f"TFLite has no builtin op for {', '.join(dict.fromkeys(ops))}"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line] or lines
    return errors[0][:MESSAGE_CHARACTERS] if errors else ""
