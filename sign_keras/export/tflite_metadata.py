"""TFLite's own metadata in a ``.tflite`` file: what MediaPipe Tasks, ML Kit and Android Studio show of a model.

It names the inputs and outputs, says what they hold, and associates the label file with the logits; the files that
it names are in the zip archive behind the model (``inference.info``).

Source: the schema ``metadata_schema.fbs`` of TFLite Support, as the mediapipe wheel carries it.
"""

import functools
import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers
import numpy as np

from sign_keras.inference.info import INFO_NAME, LABELS_NAME, OUTPUT, ArtefactInfo

METADATA_NAME = "TFLITE_METADATA"
METADATA_IDENTIFIER, MODEL_IDENTIFIER = b"M001", b"TFL3"
# TFLite reads weights in place, at addresses that are multiples of this (schema.fbs: force_align).
ALIGNMENT = 16
DESCRIPTIONS = {
    "frames": "RGB frames of the clip, 0 to 255, cropped and resized as clip_spec in sign_keras.json says.",
    "keypoints": "x, y, z of each landmark as MediaPipe gives them; NaN where it found none.",
    "frame_mask": "true for each real frame, false for the padding behind the clip's end.",
    OUTPUT: "Unnormalised; divided by the temperature in sign_keras.json, their softmax gives probabilities.",
}


def add_tflite_metadata(path: Path, info: ArtefactInfo) -> None:
    """Adds the metadata to a ``.tflite`` that has neither metadata nor an archive behind it yet."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    inputs, outputs = ([graph.tensors[index] for index in indices] for indices in (graph.inputs, graph.outputs))
    names = _signature_names(model)
    buffer = schema.BufferT()
    content = _metadata(
        info,
        [names.get(index, tensor.name.decode()) for index, tensor in zip(graph.inputs, inputs, strict=True)],
        [names.get(index, tensor.name.decode()) for index, tensor in zip(graph.outputs, outputs, strict=True)],
    )
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    path.write_bytes(_packed(model, MODEL_IDENTIFIER))


def _signature_names(model: Any) -> dict[int, str]:
    """Name by tensor of the first graph, as its signature has it; tensors' own names differ with the converter."""
    return {
        mapped.tensorIndex: mapped.name.decode()
        for signature in model.signatureDefs or []
        if signature.subgraphIndex == 0
        for mapped in [*signature.inputs, *signature.outputs]
    }


def _metadata(info: ArtefactInfo, inputs: list[str], outputs: list[str]) -> bytes:
    """The metadata's own flatbuffer; tensors in the order of the graph."""
    schema = _metadata_schema()

    def file(name: str, description: str, kind: int) -> Any:
        made = schema.AssociatedFileT()
        made.name, made.description, made.type = name, description, kind
        return made

    def tensor(name: str) -> Any:
        made = schema.TensorMetadataT()
        made.name, made.description = name, DESCRIPTIONS.get(name, "")
        if name == OUTPUT:
            # The logits of sentences begin with the blank, so that a line is not a place there.
            kind = schema.AssociatedFileType.TENSOR_AXIS_LABELS if info.blank is None else 0
            made.associatedFiles = [file(LABELS_NAME, "Glosses, one a line, in the order of the logits.", kind)]
        return made

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [tensor(name) for name in inputs]
    graph.outputTensorMetadata = [tensor(name) for name in outputs]
    model = schema.ModelMetadataT()
    model.name, model.description, model.version = info.name, info.model_card, info.sign_keras_version
    model.author = "sign_keras"
    model.subgraphMetadata = [graph]
    model.associatedFiles = [
        file(INFO_NAME, "Clip specification, labels, temperature, thresholds and model card, as JSON.", 0)
    ]
    model.minParserVersion = "1.0.0"
    return _packed(model, METADATA_IDENTIFIER)


class _AlignedBuilder(flatbuffers.Builder):
    """A builder that puts bytes where TFLite can read them in place."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, max(alignment, ALIGNMENT) if elemSize == 1 else alignment)


def _packed(content: Any, identifier: bytes) -> bytes:
    builder = _AlignedBuilder(0)
    builder.Finish(content.Pack(builder), identifier)
    return bytes(builder.Output())


@functools.cache
def _metadata_schema() -> ModuleType:
    """MediaPipe's reader and writer of the schema, without all of MediaPipe, which takes seconds to load."""
    package = importlib.util.find_spec("mediapipe")
    if package is None or package.origin is None:
        raise ImportError("mediapipe is not installed")
    path = Path(package.origin).parent / "tasks" / "metadata" / "metadata_schema_py_generated.py"
    loader = importlib.machinery.SourceFileLoader("tflite_metadata_schema", str(path))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    return module
