"""TFLite files of builtin ops alone, so that every TFLite runtime reads them, the browser's included.

The route: the graph traced for a batch of one with every shape fixed, as a SavedModel, to TensorFlow's converter.
With open shapes the converter needs TensorFlow's own ops (*Flex*), which few apps can afford. An LSTM becomes a
WHILE loop: as fast as unrolled over 16 frames, and of a size that does not grow with them. In 8 bits the converter
crashes on loops, so there it is unrolled.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import loky
import numpy as np
from loky.process_executor import BrokenProcessPool

from sign_keras.export.conversion import convert_saved_model, elsewhere
from sign_keras.export.recurrence import recurrence_for_export
from sign_keras.export.saved_model import write_saved_model
from sign_keras.export.targets import FINE_TUNED
from sign_keras.models.features.layer import KeypointFeatures
from sign_keras.models.keyframes import KeyframeSelection
from tfrecords_tools.command_line import UserError

# In full 8 bits too: they hold neither the NaN of a missing landmark nor scores beside the -1e9 of absent frames.
FLOAT_LAYERS = (KeypointFeatures, KeyframeSelection)


def write_tflite(
    model: keras.Model,
    paths: Mapping[str, Path],
    step_model: keras.Model | None = None,
    examples: Path | None = None,
) -> None:
    """Converts a model, once for each quantization.

    Args:
        model: see ``write_saved_model``.
        paths: file to write by quantization: ``none`` (float32), ``float16`` (weights stored in half), ``dynamic``
            (weights in 8 bits, activations quantized as they come), ``int8`` (both in 8 bits, by ranges seen
            beforehand; inputs, features of keypoints, which frames are kept, and logits as in the others; recurrent
            layers unrolled), ``qat`` (as ``int8``) and ``pruned`` (as ``none``): the weights that these need are
            the model's already.
        step_model: see ``write_saved_model``; a file in full 8 bits takes whole clips alone.
        examples: of full 8 bits: a folder that ``write_representative_clips`` wrote.

    Raises:
        UserError: the converter refuses the model or crashes, or a file would need ops that are not builtin.
    """
    held = {quantization: FINE_TUNED.get(quantization, quantization) for quantization in paths}
    with tempfile.TemporaryDirectory() as scratch:
        looped, unrolled = Path(scratch) / "looped", Path(scratch) / "unrolled"
        if set(held.values()) - {"int8"}:
            with recurrence_for_export(model, unrolled=False):
                write_saved_model(model, looped, batch_size=1, step_model=step_model)
        if "int8" in held.values():
            with recurrence_for_export(model, unrolled=True):
                write_saved_model(model, unrolled, batch_size=1)
        float_layers = [layer.name for layer in model._flatten_layers() if isinstance(layer, FLOAT_LAYERS)]
        with elsewhere() as pool:
            for quantization, path in paths.items():
                directory = unrolled if held[quantization] == "int8" else looped
                _convert(pool, directory, path, quantization, examples, float_layers)


def _convert(
    pool: loky.ProcessPoolExecutor,
    directory: Path,
    path: Path,
    quantization: str,
    examples: Path | None,
    float_layers: Sequence[str],
) -> None:
    where = f"tflite ({quantization})"
    held = FINE_TUNED.get(quantization, quantization)
    work = pool.submit(convert_saved_model, str(directory), str(path), held, str(examples or ""), float_layers)
    try:
        fault = work.result()
    except BrokenProcessPool:
        raise UserError(
            f"{where}: TensorFlow's converter crashed on this model; try another --quantization"
        ) from None
    if fault:
        raise UserError(f"{where}: TensorFlow's converter refuses this model: {fault}")
    foreign = sorted(name for name, (_, builtin) in _ops(path).items() if not builtin)
    if foreign:
        raise UserError(f"{where}: the file would need ops that are not builtin: {', '.join(foreign)}")


def count_operator_classes(path: Path) -> dict[str, int]:
    """How many ops compute in 8 bits (``int8``), in ``float``, with weights in 8 bits and the rest in float
    (``hybrid``), or on whole numbers and truth values (``other``), bodies of loops included.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    counts = Counter[str]()
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        for operator in (graph.Operators(index) for index in range(graph.OperatorsLength())):
            given, made = (
                {graph.Tensors(index).Type() for index in indices if index >= 0}
                for indices in (_indices(operator.InputsAsNumpy()), _indices(operator.OutputsAsNumpy()))
            )
            low, whole = schema.TensorType.INT8 in given, schema.TensorType.INT8 in made
            if whole:
                counts["int8"] += 1
            elif schema.TensorType.FLOAT32 in made:
                counts["hybrid" if low and schema.TensorType.FLOAT32 in given else "float"] += 1
            else:
                counts["other"] += 1
    return dict(counts.most_common())


def _indices(values: object) -> list[int]:
    return values.tolist() if isinstance(values, np.ndarray) else []  # an op without inputs has the number 0


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
