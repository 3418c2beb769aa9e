import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sign_keras.export import __main__ as command
from sign_keras.export import export_run, tflite
from sign_keras.export.conversion import convert_saved_model
from sign_keras.export.parity import Parity, check, golden_clips
from sign_keras.export.targets import plan
from sign_keras.inference.info import SIGNATURE
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.saved_model_artefact import SavedModelArtefact
from sign_keras.inference.tflite_artefact import TFLiteArtefact
from tfrecords_tools.command_line import UserError


@pytest.fixture(scope="module")
def clips(exports):
    """Real clips, and what the run says of them."""
    inputs, _, _ = next(exports.records.evaluation_batches("train", 9).as_numpy_iterator())
    expected = RunArtefact(exports.run).probabilities(inputs)
    assert np.ptp(expected, axis=0).max() > 0.1  # else any export would agree
    return inputs, expected


def test_saved_model_answers_as_the_run(exports, clips):
    inputs, expected = clips
    artefact = SavedModelArtefact(exports.saved_model)
    np.testing.assert_allclose(artefact.probabilities(inputs), expected, atol=1e-5)
    assert artefact.logits(inputs).dtype == np.float32


def test_tflite_answers_as_the_run(exports, clips):
    inputs, expected = clips
    np.testing.assert_allclose(TFLiteArtefact(exports.tflite).probabilities(inputs), expected, atol=1e-3)


@pytest.mark.slow
def test_float16_is_half_as_large_and_answers_alike(exports, clips, tmp_path):
    inputs, expected = clips
    (path,) = export_run(exports.run, ["tflite"], ["float16"], output_dir=tmp_path)
    found = TFLiteArtefact(path).probabilities(inputs)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.8
    assert path.stat().st_size < 0.6 * exports.tflite.stat().st_size


def test_dynamic_is_smaller(exports, clips):
    path = exports.tflite.with_name("tiny_dynamic.tflite")
    assert np.isfinite(TFLiteArtefact(path).logits(clips[0])).all()
    assert path.stat().st_size < 0.4 * exports.tflite.stat().st_size


def test_padding_does_not_change_an_export(exports, clips):
    inputs, _ = clips
    mask = np.array([[True, True, False]] * len(inputs["frames"]))
    other = inputs["frames"].copy()
    other[:, 2] = 255 - other[:, 2]
    artefact = TFLiteArtefact(exports.tflite)
    np.testing.assert_array_equal(
        artefact.logits({"frames": inputs["frames"], "frame_mask": mask}),
        artefact.logits({"frames": other, "frame_mask": mask}),
    )


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_signature_names_raw_inputs_and_logits(exports):
    signature = tf.saved_model.load(str(exports.saved_model)).signatures[SIGNATURE]
    inputs = signature.structured_input_signature[1]
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "frames": ([None, 3, 32, 32, 3], tf.uint8),
        "frame_mask": ([None, 3], tf.bool),
    }
    assert {name: spec.dtype for name, spec in signature.structured_outputs.items()} == {"logits": tf.float32}
    # TensorFlow's own interpreter reads the file too, archive at its end and all.
    runner = tf.lite.Interpreter(str(exports.tflite)).get_signature_runner(SIGNATURE)
    details = runner.get_input_details()
    assert {name: (tuple(item["shape"]), item["dtype"]) for name, item in details.items()} == {
        "frames": ((1, 3, 32, 32, 3), np.uint8),
        "frame_mask": ((1, 3), np.bool_),
    }
    assert list(runner.get_output_details()) == ["logits"]


def test_reports_say_what_was_measured(exports):
    names = ["savedmodels/tiny", "tflite/tiny.tflite", "tflite/tiny_dynamic.tflite"]
    assert exports.paths == [exports.directory / name for name in names]
    for path in exports.paths:
        report = json.loads((path.parent / f"{path.name.removesuffix('.tflite')}.json").read_text())
        assert report["parity"]["golden_clips"] == "validation clips of records"
        assert report["parity"]["num_clips"] == exports.records.num_clips("validation")
        assert 0 <= report["parity"]["top1_agreement"] <= 1
        assert report["inputs"] == {"frames": ["uint8", 3, 32, 32, 3], "frame_mask": ["bool", 3]}
        latency = report["latency_ms"]
        by_frames = latency.pop("one_thread_by_frames", {"3": 1.0})
        assert all(value > 0 for value in [*latency.values(), *by_frames.values()])
        assert "3" in by_frames
        validation = report["validation"]
        assert validation["clips"] == exports.records.num_clips("validation")
        assert validation["accuracy"] == validation["accuracy_of_run"]
        assert report["versions"]["tensorflow"] == tf.__version__
        if path.suffix == ".tflite":
            assert report["size_bytes"] == path.stat().st_size
            assert report["latency_ms"].keys() == {"one_thread", "all_threads"}
            # The op list sees into the loop that the LSTM became.
            assert report["ops"]["WHILE"] == 1
            assert report["ops"]["TANH"] == 2
            assert not any("Flex" in name for name in report["ops"])
    assert not list(exports.directory.glob(".*"))


def test_gate_refuses_other_weights_and_keeps_what_was_there(exports, tmp_path, monkeypatch):
    from sign_keras.export import saved_model

    write = saved_model.write_saved_model

    def write_perturbed(model, *arguments, **options):
        head = model.get_layer("logits")
        head.bias.assign(np.array(head.bias) + np.array([0.0, 0.3, 0.0]))
        write(model, *arguments, **options)

    monkeypatch.setattr(saved_model, "write_saved_model", write_perturbed)
    with pytest.raises(UserError, match=r"savedmodels/tiny: not written: on 3 clips .* differ .* up to 0\.0"):
        export_run(exports.run, ["savedmodel"], records=exports.records, output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_export_replaces_an_older_one_and_needs_no_records(exports, tmp_path):
    stale = tmp_path / "savedmodels" / "tiny" / "stale.txt"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    paths = export_run(exports.run, ["savedmodel"], output_dir=tmp_path, progress=False)
    assert paths == [tmp_path / "savedmodels" / "tiny"]
    assert not stale.exists()
    report = json.loads((tmp_path / "savedmodels" / "tiny.json").read_text())
    assert report["parity"]["golden_clips"] == "noise, black and white"
    assert report["parity"]["num_clips"] == 8


def test_command_compares_on_the_run_s_own_records(exports, tmp_path, run_main, monkeypatch):
    asked = {}

    def export_instead(run, formats, quantization, **options):
        asked.update(options, run=run.directory, formats=formats, quantization=quantization)
        return exports.paths

    monkeypatch.setattr(command, "export_run", export_instead)
    status, out, err = run_main(
        command.main, "--run", exports.run.directory, "--formats", "tflite", "--output-dir", tmp_path
    )
    assert (status, err) == (0, "")
    assert asked["records"].directory == exports.records.directory
    assert (asked["formats"], asked["quantization"], asked["output_dir"]) == (["tflite"], ["none"], tmp_path)
    lines = out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in exports.paths]
    assert "same answer in 100% of 3 clips" in lines[0]


def test_mixed_precision_elsewhere_does_not_reach_an_export(exports):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = RunArtefact(exports.run).model
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("lstm").compute_dtype == "float32"


def test_nan_does_not_pass_the_gate():
    parity = Parity(golden_clips="x", num_clips=1, max_probability_difference=float("nan"), top1_agreement=1.0)
    with pytest.raises(UserError, match="nan"):
        check(parity, 1e-3, "x")


def test_synthetic_clips_have_masks_of_all_lengths(exports):
    golden = golden_clips(RunArtefact(exports.run).model, None)
    assert set(golden.inputs["frame_mask"].sum(axis=1)) == {1, 2, 3}
    assert golden.inputs["frames"][-2].max() == 0
    assert golden.inputs["frames"][-1].min() == 255


def test_a_crashing_converter_is_one_line(tmp_path, monkeypatch):
    def crash(*_):  # within the test, so that the process is sent its code instead of importing this module
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr(tflite, "convert_saved_model", crash)
    monkeypatch.setattr(tflite, "write_saved_model", lambda *_, **__: None)
    inputs = keras.Input((2,))
    with pytest.raises(UserError, match=r"^tflite \(none\): TensorFlow's converter crashed on this model"):
        tflite.write_tflite(keras.Model(inputs, inputs), {"none": tmp_path / "a.tflite"})


def test_ops_that_are_not_builtin_are_named(tmp_path):
    @tf.function(input_signature=[{"frames": tf.TensorSpec((1, 4), name="frames")}])
    def serve(inputs):
        return {"logits": tf.math.erfinv(inputs["frames"])}

    signatures = {SIGNATURE: serve.get_concrete_function()}
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"), signatures=signatures)
    fault = convert_saved_model(str(tmp_path / "model"), str(tmp_path / "a.tflite"), "none")
    assert fault == "TFLite has no builtin op for Erfinv"
    assert not (tmp_path / "a.tflite").exists()


def test_plan_makes_each_file_once():
    paths = [
        target.path.as_posix()
        for target in plan("a.b", ["tflite", "tflite"], ["none", "float16", "dynamic", "none"])
    ]
    assert paths == ["tflite/a.b.tflite", "tflite/a.b_float16.tflite", "tflite/a.b_dynamic.tflite"]
    with pytest.raises(UserError, match=r"expected any of savedmodel, tflite, onnx \(found coreml\)"):
        plan("a", ["coreml"], ["none"])


def test_help_is_quick_and_errors_are_one_line(exports, tmp_path, run_main, assert_help_is_quick):
    assert_help_is_quick("sign_keras.export")
    status, _, err = run_main(command.main, "--run", tmp_path / "none", "--formats", "tflite")
    assert status == 2
    assert err.count("\n") == 1
    assert "none: no such file or directory" in err
    status, _, err = run_main(command.main, "--run", exports.saved_model, "--formats", "tflite")
    assert (status, err.count("\n")) == (2, 1)
    assert "is an export; give the run directory" in err
