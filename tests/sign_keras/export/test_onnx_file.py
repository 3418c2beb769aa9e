"""ONNX files answer as the run does, and carry what it takes to use them."""

import importlib.util
import json
import shutil

import keras
import numpy as np
import onnx
import pytest

from sign_keras.export import export_run
from sign_keras.export.onnx_file import count_onnx_ops, write_onnx
from sign_keras.inference.info import INFO_NAME, LABELS_NAME, add_to_onnx, onnx_step_path
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.onnx_artefact import OnnxArtefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.models.streaming import build_step_model
from tests.sign_keras.models.keypoint_architectures import build, clips, lively, with_mask
from tfrecords_tools.command_line import UserError


@pytest.fixture(scope="module")
def exported(exports, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    paths = export_run(exports.run, ["onnx"], records=exports.records, output_dir=folder, progress=False)
    assert paths == [folder / "onnx" / "tiny.onnx"]
    return paths[0]


def test_onnx_answers_as_the_run_for_any_batch(exports, exported):
    inputs, _, _ = next(exports.records.evaluation_batches("train", 9).as_numpy_iterator())
    expected = RunArtefact(exports.run).probabilities(inputs)
    artefact = load_artefact(exported)
    assert type(artefact) is OnnxArtefact
    np.testing.assert_allclose(artefact.probabilities(inputs), expected, atol=1e-4)
    one = {name: values[2:3] for name, values in inputs.items()}
    np.testing.assert_allclose(artefact.probabilities(one), expected[2:3], atol=1e-4)


def test_a_moved_file_is_enough(exports, exported, tmp_path):
    moved = shutil.copy(exported, tmp_path / "other name.onnx")
    artefact = load_artefact(moved)
    assert artefact.info == RunArtefact(exports.run).info
    assert not artefact.streams
    metadata = {entry.key: entry.value for entry in onnx.load(str(moved)).metadata_props}
    assert metadata[LABELS_NAME].splitlines() == list(exports.run.label_map)
    assert json.loads(metadata[INFO_NAME])["name"] == "tiny"


def test_report_says_what_was_measured(exports, exported):
    report = json.loads(exported.with_suffix(".json").read_text())
    assert report["format"] == "onnx"
    assert report["parity"]["max_probability_difference"] < 1e-4
    assert report["ops"] == count_onnx_ops(exported)
    assert report["latency_ms"]["one_thread_by_frames"].keys() == {"1", "3"}
    assert {
        entry.version for entry in onnx.load(str(exported)).opset_import if entry.domain in ("", "ai.onnx")
    } == {17}


@pytest.mark.slow
def test_a_causal_model_has_its_step_in_a_second_file(exports, tmp_path):
    keras.utils.set_random_seed(0)
    model = lively(build("keypoint_gru"))
    path = tmp_path / "causal.onnx"
    info = RunArtefact(exports.run).info.model_copy(update={"input_names": ("keypoints", "frame_mask")})
    written = write_onnx(model, path, build_step_model(model))
    assert written == [path, onnx_step_path(path)] == [path, tmp_path / "causal_step.onnx"]
    add_to_onnx(path, info)
    artefact = load_artefact(path)
    keypoints = clips(1)
    whole = artefact.logits(with_mask(keypoints, [keypoints.shape[1]]))
    np.testing.assert_allclose(whole, model(with_mask(keypoints, [keypoints.shape[1]]), training=False), atol=1e-4)
    state = artefact.initial_state()
    for frame in range(keypoints.shape[1]):
        logits, state = artefact.step(keypoints[:, frame : frame + 1], state)
    np.testing.assert_allclose(logits, whole, atol=1e-4)


def test_what_is_no_artefact_is_refused_in_one_line(exported, tmp_path):
    foreign = onnx.load(str(exported))
    del foreign.metadata_props[:]
    onnx.save(foreign, str(tmp_path / "foreign.onnx"))
    with pytest.raises(UserError, match=r"foreign.onnx: carries no sign_keras.json"):
        load_artefact(tmp_path / "foreign.onnx")
    (tmp_path / "damaged.onnx").write_bytes(exported.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"^[^\n]*damaged.onnx: cannot be loaded[^\n]*$"):
        load_artefact(tmp_path / "damaged.onnx")


def test_missing_packages_are_named_before_the_work_begins(exports, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name))
    with pytest.raises(UserError, match=r"^--formats onnx: .*tf2onnx.*pip install 'sign_keras\[onnx\]'$"):
        export_run(exports.run, ["onnx"], output_dir=tmp_path)
