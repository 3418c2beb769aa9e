import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.inference.info import INFO_NAME, LABELS_NAME
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.saved_model_artefact import SavedModelArtefact
from sign_keras.inference.tflite_artefact import TFLiteArtefact
from tests.conftest import REPOSITORY
from tfrecords_tools.command_line import UserError


@pytest.fixture
def paths(exports):
    return {"run": exports.run.directory, "saved_model": exports.saved_model, "tflite": exports.tflite}


@pytest.mark.parametrize(
    ("kind", "artefact_type"),
    [("run", RunArtefact), ("saved_model", SavedModelArtefact), ("tflite", TFLiteArtefact)],
)
def test_every_artefact_carries_the_same_description(exports, paths, kind, artefact_type):
    artefact = load_artefact(paths[kind])
    assert type(artefact) is artefact_type
    assert artefact.info == RunArtefact(exports.run).info
    assert artefact.name == "tiny"
    assert artefact.label_map == exports.run.label_map
    assert artefact.clip_spec == exports.run.clip_spec
    assert artefact.sampling == exports.run.config.sampling
    assert artefact.input_names == ("frames", "frame_mask")
    assert artefact.keypoint_layout is None
    assert artefact.thresholds == {}
    assert artefact.info.trained_on == "records"
    assert "isolated" in artefact.info.model_card or "signs" in artefact.info.model_card


def test_a_tflite_alone_is_enough_wherever_it_is(exports, tmp_path):
    """Moved, renamed, and opened where the run and the rest of the exports cannot be seen."""
    moved = tmp_path / "other name.tflite"
    shutil.copyfile(exports.tflite, moved)
    inputs = {
        "frames": np.full((2, 3, 32, 32, 3), 99, np.uint8),
        "frame_mask": np.ones((2, 3), bool),
    }
    artefact = load_artefact(moved)
    assert artefact.name == "tiny"
    np.testing.assert_array_equal(artefact.logits(inputs), TFLiteArtefact(exports.tflite, 1).logits(inputs))
    with zipfile.ZipFile(moved) as archive:
        assert archive.testzip() is None
        assert archive.read(LABELS_NAME).decode().splitlines() == list(exports.run.label_map)
        assert json.loads(archive.read(INFO_NAME))["clip_spec"]["short_side"] == 40


def test_a_moved_saved_model_still_works(exports, tmp_path):
    shutil.copytree(exports.saved_model, tmp_path / "moved")
    assert load_artefact(tmp_path / "moved").info == load_artefact(exports.saved_model).info


def test_probabilities_are_the_softmax_of_logits(exports):
    artefact = load_artefact(exports.tflite)
    inputs = {"frames": np.zeros((1, 3, 32, 32, 3), np.uint8), "frame_mask": np.ones((1, 3), bool)}
    expected = tf.nn.softmax(artefact.logits(inputs)).numpy()
    np.testing.assert_allclose(artefact.probabilities(inputs), expected, rtol=1e-5)


def foreign_saved_model(path, exports):
    shutil.copytree(exports.saved_model, path)
    shutil.rmtree(path / "assets.extra")


def foreign_tflite(path, exports):
    path.write_bytes(b"TFL3" * 100)


def truncated_tflite(path, exports):
    path.write_bytes(exports.tflite.read_bytes()[:-2000])


def later_version(path, exports):
    shutil.copytree(exports.saved_model, path)
    info = json.loads((path / "assets.extra" / INFO_NAME).read_text())
    (path / "assets.extra" / INFO_NAME).write_text(json.dumps(info | {"format_version": 99}))


def damaged_saved_model(path, exports):
    shutil.copytree(exports.saved_model, path)
    (path / "saved_model.pb").write_bytes(b"no protobuf")


def damaged_tflite(path, exports):
    with zipfile.ZipFile(exports.tflite) as archive:
        info = archive.read(INFO_NAME)
    path.write_bytes(b"no flatbuffer")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(INFO_NAME, info)


CASES = [
    ("missing", lambda *_: None, "no such file or directory; expected a run directory"),
    ("folder", lambda path, _: path.mkdir(), "holds neither config.yaml nor saved_model.pb"),
    ("model.keras", lambda path, _: path.touch(), "no model has the suffix '.keras'"),
    ("saved_model", foreign_saved_model, "a SavedModel without assets.extra/sign_keras.json"),
    ("other.tflite", foreign_tflite, "carries no sign_keras.json"),
    ("short.tflite", truncated_tflite, "carries no sign_keras.json"),
    ("later", later_version, "format_version 99, this version reads 1"),
    ("damaged", damaged_saved_model, "cannot be loaded"),
    ("damaged.tflite", damaged_tflite, "cannot be loaded"),
]


@pytest.mark.parametrize(("name", "make", "message"), CASES, ids=[case[0] for case in CASES])
def test_what_is_no_artefact_is_refused_in_one_line(tmp_path, exports, name, make, message):
    make(tmp_path / name, exports)
    with pytest.raises(UserError) as raised:
        load_artefact(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_descriptions_are_read_without_tensorflow():
    code = "import sys, sign_keras.inference.info; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
