"""The official reader of TFLite metadata understands what is in an export, and the model is the same as before."""

import json
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from sign_keras.export import tflite_metadata
from sign_keras.export.tflite_metadata import ALIGNMENT, METADATA_NAME
from sign_keras.inference.info import INFO_NAME, LABELS_NAME
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.tflite_artefact import TFLiteArtefact

SHOW = """
import sys
from mediapipe.tasks.python.metadata.metadata import MetadataDisplayer
shown = MetadataDisplayer.with_model_file(sys.argv[1])
print("JSON:" + shown.get_metadata_json())
print("FILES:" + ",".join(shown.get_packed_associated_file_list()))
"""


@pytest.fixture(scope="module")
def shown(exports, tmp_path_factory):
    """What MediaPipe's own reader says of the file, moved to where nothing else is."""
    moved = shutil.copy(exports.tflite, tmp_path_factory.mktemp("moved") / "renamed.tflite")
    ran = subprocess.run([sys.executable, "-c", SHOW, str(moved)], capture_output=True, text=True, check=True)
    text, _, files = ran.stdout.partition("JSON:")[2].partition("FILES:")
    return json.loads(text), files.strip().split(",")


def test_metadata_is_beside_the_model_in_its_flatbuffer(exports):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(exports.tflite.read_bytes(), 0))
    (place,) = [entry.buffer for entry in model.metadata if entry.name.decode() == METADATA_NAME]
    ours = tflite_metadata._metadata_schema()
    content = bytes(model.buffers[place].data)
    assert content[4:8] == b"M001"
    metadata = ours.ModelMetadataT.InitFromObj(ours.ModelMetadata.GetRootAs(content, 0))
    assert metadata.name.decode() == "tiny"
    (logits,) = metadata.subgraphMetadata[0].outputTensorMetadata
    assert (logits.name, logits.associatedFiles[0].name) == (b"logits", LABELS_NAME.encode())


@pytest.mark.slow
def test_inputs_and_outputs_are_named_and_labels_belong_to_the_logits(exports, shown):
    metadata, files = shown
    info = RunArtefact(exports.run).info
    assert (metadata["name"], metadata["description"]) == (info.name, info.model_card)
    (graph,) = metadata["subgraph_metadata"]
    # As the interpreter orders them.
    details = TFLiteArtefact(exports.tflite)._interpreter.get_input_details()
    order = [re.sub(r".*_(frames|frame_mask):0", r"\1", item["name"]) for item in details]
    assert [tensor["name"] for tensor in graph["input_tensor_metadata"]] == order
    (logits,) = graph["output_tensor_metadata"]
    assert logits["name"] == "logits"
    assert [(file["name"], file["type"]) for file in logits["associated_files"]] == [
        (LABELS_NAME, "TENSOR_AXIS_LABELS")
    ]
    assert sorted(files) == sorted([INFO_NAME, LABELS_NAME])


def test_weights_stay_where_they_can_be_read_in_place(exports):
    from ai_edge_litert import schema_py_generated as schema

    content = exports.tflite.read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    starts = {}
    for index in range(model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        if isinstance(data, np.ndarray):
            starts[index] = data.__array_interface__["data"][0] - np.frombuffer(content, np.uint8).ctypes.data
    assert len(starts) > 50
    assert {start % ALIGNMENT for start in starts.values()} == {0}
    with zipfile.ZipFile(exports.tflite) as archive:
        assert archive.testzip() is None
