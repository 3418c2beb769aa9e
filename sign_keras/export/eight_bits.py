"""Full 8 bits: ranges of values seen on training clips, and what has none left in float.

In a process of ``conversion``; it loads TensorFlow, and Keras not at all.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Clips shown once more at full length where none is so long.
NUM_FILLED_CLIPS = 8


def convert_in_8_bits(converter: Any, examples: Path, float_layers: Sequence[str]) -> bytes:
    """Calibrates and quantizes. Inputs and logits stay what they are, and what has no 8-bit kernel stays float.

    So does the softmax: in 8 bits it is a table look-up, slower than float (a CNN-LSTM took 2.75 ms for a clip, and
    2.51 ms with it), and its answers are multiples of 1/256.

    Args:
        converter: a ``tf.lite.TFLiteConverter`` with its optimizations set.
        examples: a folder of ``NAME.npy``, ``[N, ...]`` for each input.
        float_layers: names of layers that stay float, as 8 bits cannot hold what they compute.

    Returns:
        The file's content.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    converter.representative_dataset = lambda: calibration_clips(examples)
    converter._experimental_calibrate_only = True
    calibrated, names = _without_ranges(converter.convert(), float_layers)
    content: bytes = mlir_quantize(calibrated, denylisted_ops={"SOFTMAX"}, denylisted_nodes=names)
    return content


def calibration_clips(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """Batches of one, by input: every clip, and where none is as long as the model takes, some repeated to be so.

    An unrolled layer that reads backwards begins at the last frame. If that is padding in every clip, its state is
    seen as nothing but zero there, and no runtime accepts the scale that follows from such a range.
    """
    inputs = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
    num_clips = len(next(iter(inputs.values())))
    for clip in range(num_clips):
        yield {name: np.array(values[clip : clip + 1]) for name, values in inputs.items()}
    mask = inputs.get("frame_mask")
    if mask is None or np.asarray(mask[:, -1]).any():
        return
    for clip in range(min(num_clips, NUM_FILLED_CLIPS)):
        places = np.arange(mask.shape[1]) % max(1, np.count_nonzero(mask[clip]))
        yield {name: np.array(values[clip, places])[np.newaxis] for name, values in inputs.items()}


def _without_ranges(content: bytes, layers: Sequence[str]) -> tuple[bytes, set[str]]:
    """Takes the ranges off what is computed inside some layers, and off the inputs that these read.

    To refuse ops by name alone does not do: slices, reshapes and the like are quantized with what they belong to.

    Args:
        content: a calibrated file.
        layers: their names.

    Returns:
        The file, and names of the ops inside.
    """
    if not layers:
        return content, set()
    from tensorflow.lite.tools import flatbuffer_utils

    inside = re.compile(rf"(^|/)({'|'.join(map(re.escape, layers))})(_\d+)?/")  # a second tracing appends a number
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    names: set[str] = set()
    for graph in model.subgraphs:
        computed, taken, elsewhere = set[int](), set[int](), set[int]()
        for operator in graph.operators:
            given = {int(index) for index in operator.inputs if index >= 0}
            tensors = [graph.tensors[index] for index in operator.outputs]
            found = [tensor.name.decode() for tensor in tensors if inside.search(tensor.name.decode())]
            if found:
                computed |= {int(index) for index in operator.outputs}
                taken |= given & {int(index) for index in graph.inputs}
                names |= {part for name in found for part in (name, *name.split(";")) if part}
            else:
                elsewhere |= given
        for index in (computed | taken) - elsewhere:
            graph.tensors[index].quantization = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)), names
