"""TFLite files of builtin ops alone, so that every TFLite runtime reads them, the browser's included.

The route: the graph traced for a batch of one with every shape fixed, as a SavedModel, to TensorFlow's converter.
With open shapes the converter needs TensorFlow's own ops (*Flex*), which few apps can afford. An LSTM becomes a
WHILE loop: over 16 frames it was faster (5.3 ms a clip against 6.3 ms on one thread) and smaller than unrolled.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import keras
import loky
from loky.process_executor import BrokenProcessPool

from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.saved_model import write_saved_model
from tfrecords_tools.command_line import UserError


def write_tflite(model: keras.Model, paths: Mapping[str, Path], step_model: keras.Model | None = None) -> None:
    """Converts a model, once for each quantization.

    Args:
        model: see ``write_saved_model``.
        paths: file to write by quantization: ``none`` (float32), ``float16`` (weights stored in half), ``dynamic``
            (weights in 8 bits, activations quantized as they come).
        step_model: see ``write_saved_model``.

    Raises:
        UserError: the converter refuses the model or crashes, or a file would need ops that are not builtin.
    """
    with tempfile.TemporaryDirectory() as scratch:
        write_saved_model(model, Path(scratch), batch_size=1, step_model=step_model)
        # Another process: the converter can take its own down, and here that would be the training's.
        pool = loky.ProcessPoolExecutor(
            max_workers=1, env={"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        )
        try:
            for quantization, path in paths.items():
                _convert_elsewhere(pool, scratch, path, quantization)
        finally:
            pool.shutdown(wait=True, kill_workers=True)


def _convert_elsewhere(pool: loky.ProcessPoolExecutor, directory: str, path: Path, quantization: str) -> None:
    where = f"tflite ({quantization})"
    try:
        fault = pool.submit(convert_saved_model, directory, str(path), quantization).result()
    except BrokenProcessPool:
        raise UserError(
            f"{where}: TensorFlow's converter crashed on this model; try another --quantization"
        ) from None
    if fault:
        raise UserError(f"{where}: TensorFlow's converter refuses this model: {fault}")
    foreign = sorted(name for name, (_, builtin) in _ops(path).items() if not builtin)
    if foreign:
        raise UserError(f"{where}: the file would need ops that are not builtin: {', '.join(foreign)}")


def count_ops(path: Path) -> dict[str, int]:
    """How many of each op a ``.tflite`` file holds, bodies of its loops included, most frequent first."""
    return {name: count for name, (count, _) in _ops(path).items()}


def _ops(path: Path) -> dict[str, tuple[int, bool]]:
    """(count, whether it is builtin) by op name, most frequent first."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    counts = Counter[tuple[str, bool]]()
    for subgraph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for operator in (subgraph.Operators(index) for index in range(subgraph.OperatorsLength())):
            kind = model.OperatorCodes(operator.OpcodeIndex())
            # Codes above 127 are in the newer field alone; old files have the older one alone.
            code = max(kind.BuiltinCode(), kind.DeprecatedBuiltinCode())
            builtin = code != schema.BuiltinOperator.CUSTOM
            counts[names[code] if builtin else kind.CustomCode().decode(), builtin] += 1
    return {name: (count, builtin) for (name, builtin), count in counts.most_common()}
