"""Full 8-bit files, and the gate that quantized files go through."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from sign_keras.config import ExportConfig, FeaturesConfig
from sign_keras.export import export_run, saved_model, tflite
from sign_keras.export.representative import write_representative_clips
from sign_keras.export.tflite import count_operator_classes, write_tflite
from sign_keras.export.validation import Answers, Validation, check_quantized, compare_answers, validation_answers
from sign_keras.inference.artefact import DamagedError
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.tflite_artefact import TFLiteArtefact
from sign_keras.models.features.layer import KeypointFeatures
from sign_keras.models.keyframes import KeyframeSelection
from sign_keras.models.layers import FrameWise
from sign_keras.models.motion_scorer import MotionScorer
from tests.sign_keras.models import keypoint_architectures
from tfrecords_tools.command_line import UserError
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC


def with_export(run, **settings):
    return dataclasses.replace(run, config=run.config.model_copy(update={"export": ExportConfig(**settings)}))


@pytest.fixture(scope="module")
def int8(exports, tmp_path_factory):
    """The tiny run in 8 bits, and its report. Its weights are random, so the gate is left open."""
    folder = tmp_path_factory.mktemp("int8")
    run = with_export(exports.run, min_top1_agreement=0, max_accuracy_loss=1, representative_clips=9)
    paths = export_run(run, ["tflite"], ["int8"], records=exports.records, output_dir=folder, progress=False)
    assert paths == [folder / "tflite" / "tiny_int8.tflite"]
    return paths[0], json.loads((folder / "tflite" / "tiny_int8.json").read_text())


@pytest.mark.slow
def test_int8_computes_in_8_bits_from_the_same_raw_inputs(exports, int8):
    path, report = int8
    classes = report["operator_classes"]
    assert classes["int8"] > 10 * (classes["float"] + classes.get("hybrid", 0))
    assert "WHILE" not in report["ops"]
    assert path.stat().st_size < 0.4 * exports.tflite.stat().st_size
    details = TFLiteArtefact(path)._interpreter.get_signature_runner().get_input_details()
    assert {name: item["dtype"] for name, item in details.items()} == {"frames": np.uint8, "frame_mask": np.bool_}
    assert report["representative_clips"] == 9
    assert report["validation_limits"] == {"min_top1_agreement": 0, "max_accuracy_loss": 1}


def in_8_bits(model: keras.Model, clips: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    """Logits of clips, by a file that was calibrated on them."""
    (folder / "examples").mkdir()
    for name, values in clips.items():
        np.save(folder / "examples" / f"{name}.npy", values)
    write_tflite(model, {"int8": folder / "a.tflite"}, examples=folder / "examples")
    runner = Interpreter(str(folder / "a.tflite")).get_signature_runner()
    one_by_one = ({name: values[[index]] for name, values in clips.items()} for index in range(24))
    return np.concatenate([runner(**clip)["logits"] for clip in one_by_one])


def test_int8_answers_nearly_as_the_model_padding_included(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = {
        "frames": keras.Input((4, 8, 8, 3), dtype="uint8", name="frames"),
        "frame_mask": keras.Input((4,), dtype="bool", name="frame_mask"),
    }
    pictures = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs["frames"])
    frames = FrameWise(keras.Sequential([keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.Flatten()]))
    state = keras.layers.LSTM(6)(frames(pictures), mask=inputs["frame_mask"])
    model = keras.Model(inputs, keras.layers.Dense(4)(state))
    rng = np.random.default_rng(0)
    clips = {
        "frames": rng.integers(0, 256, (24, 4, 8, 8, 3), np.uint8),
        "frame_mask": np.arange(4) < rng.integers(1, 5, (24, 1)),
    }
    found, expected = in_8_bits(model, clips, tmp_path), np.asarray(model(clips, training=False))
    assert expected.std(axis=0).min() > 0.05
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    assert np.abs(found - expected).max() > 1e-4  # or it would not be in 8 bits
    classes = count_operator_classes(tmp_path / "a.tflite")
    assert classes["int8"] > 3 * classes.get("float", 0)


def test_int8_knows_missing_landmarks_and_frames_that_no_training_clip_reaches(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = {
        "keypoints": keras.Input((6, len(MEDIAPIPE_HOLISTIC.names), 3), name="keypoints"),
        "frame_mask": keras.Input((6,), dtype="bool", name="frame_mask"),
    }
    features = KeypointFeatures(FeaturesConfig(), MEDIAPIPE_HOLISTIC, name="features")(
        inputs["keypoints"], mask=inputs["frame_mask"]
    )
    both_ways = keras.layers.Bidirectional(keras.layers.LSTM(6))
    state = both_ways(keras.layers.Dense(8, activation="tanh")(features), mask=inputs["frame_mask"])
    model = keras.Model(inputs, keras.layers.Dense(4)(state))
    keypoints = np.tile(keypoint_architectures.clips(12, 6), (2, 1, 1, 1))
    for group in keypoint_architectures.HAND_GROUPS:  # the same clips again, without hands
        keypoints[12:, :, MEDIAPIPE_HOLISTIC.group_slices[group]] = np.nan
    clips = keypoint_architectures.with_mask(keypoints, [4] * 24)
    found, expected = in_8_bits(model, clips, tmp_path), np.asarray(model(clips, training=False))
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    assert np.abs(found - expected).max() > 1e-4  # or it would not be in 8 bits
    assert np.abs(found - expected).mean() < 0.2 * np.abs(expected[:12] - expected[12:]).mean()
    assert count_operator_classes(tmp_path / "a.tflite")["int8"] > 100


def test_int8_keeps_the_keyframes_of_the_model(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = {
        "frames": keras.Input((12, 4, 4, 3), dtype="uint8", name="frames"),
        "frame_mask": keras.Input((12,), dtype="bool", name="frame_mask"),
    }
    maps, mask = keras.layers.Rescaling(1 / 255)(inputs["frames"]), inputs["frame_mask"]
    changes = MotionScorer(4)(maps, mask=mask)
    selected = KeyframeSelection(0.5)(keras.layers.Reshape((12, 48))(maps), changes, mask=mask)
    model = keras.Model(inputs, keras.ops.cast(selected["keyframe_indices"], "float32"))
    rng = np.random.default_rng(0)
    moved = rng.uniform(1, 40, (24, 12, 1, 1, 1)) * rng.standard_normal((24, 12, 4, 4, 3))
    clips = {
        "frames": np.clip(128 + moved.cumsum(axis=1) / 4, 0, 255).astype(np.uint8),
        "frame_mask": np.arange(12) < rng.integers(6, 13, (24, 1)),
    }
    found, expected = in_8_bits(model, clips, tmp_path).round(), np.asarray(model(clips, training=False))
    assert len({tuple(indices) for indices in expected}) > 20
    numbers = -(-clips["frame_mask"].sum(axis=1) // 2)
    pairs = zip(found, expected, numbers, strict=True)
    alike = [len(set(ours[:number]) & set(theirs[:number])) / number for ours, theirs, number in pairs]
    assert np.mean(alike) > 0.95


def test_int8_needs_the_training_records(exports, tmp_path):
    with pytest.raises(UserError, match=r"^--quantization int8: takes the ranges of values from .* does not hold"):
        export_run(exports.run, ["tflite"], ["none", "int8"], output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_gate_refuses_other_weights_in_a_quantized_file(exports, tmp_path, monkeypatch):
    write = saved_model.write_saved_model
    answers = validation_answers(RunArtefact(exports.run), exports.records, 99).top1
    rarest = np.bincount(answers, minlength=3).argmin()  # of three clips, it is right for one at most

    def write_perturbed(model, *arguments, **options):
        head = model.get_layer("logits")
        head.bias.assign(np.array(head.bias) + 100 * np.eye(3)[rarest])
        write(model, *arguments, **options)

    monkeypatch.setattr(tflite, "write_saved_model", write_perturbed)
    with pytest.raises(UserError, match=r"tflite/tiny_dynamic.tflite: not written: on 3 validation clips it"):
        export_run(exports.run, ["tflite"], ["dynamic"], records=exports.records, output_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_its_runtime_refuses_is_not_written(exports, tmp_path, monkeypatch):
    def refuse(path):
        raise DamagedError(path, RuntimeError("Node number 7 failed to prepare.\nand more"))

    monkeypatch.setattr("sign_keras.export.examination.load_artefact", refuse)
    with pytest.raises(UserError) as caught:
        export_run(exports.run, ["tflite"], ["float16"], output_dir=tmp_path, progress=False)
    assert str(caught.value) == (
        "tflite/tiny_float16.tflite: not written: cannot be loaded (Node number 7 failed to prepare.); choose "
        "another --quantization"
    )
    assert not list(tmp_path.rglob("*.tflite"))


@pytest.mark.parametrize(
    ("clips", "lost", "changed", "message"),
    [
        (1000, 10, 50, None),
        (
            1000,
            11,
            50,
            r"accuracy is 0.889, the run's 0.900: it loses more than export.max_accuracy_loss=0.01",
        ),
        (1000, 0, 51, r"the run's answer to 94.9%, fewer than export.min_top1_agreement=0.95"),
        (10, 1, 1, None),  # one clip says nothing
        (10, 2, 2, "loses more"),
        (1000, -20, 20, None),  # better than the run
    ],
)
def test_limits_of_quantized_files(clips, lost, changed, message):
    found = Validation(
        clips=clips, top1_agreement=1 - changed / clips, accuracy=0.9 - lost / clips, accuracy_of_run=0.9
    )
    if message is None:
        check_quantized(found, ExportConfig(), "x")
        return
    with pytest.raises(UserError, match=f"^x: not written: on {clips} validation clips .*{message}"):
        check_quantized(found, ExportConfig(), "x")


def test_answers_are_compared_clip_by_clip_and_sentences_frame_by_frame():
    found = compare_answers(
        Answers("isolated", np.array([0, 1, 2, 0]), 0.75), Answers("isolated", np.array([0, 1, 1, 2]), 0.5)
    )
    assert (found.clips, found.top1_agreement, found.accuracy, found.accuracy_of_run) == (4, 0.5, 0.5, 0.75)
    sentences = compare_answers(
        Answers("continuous", np.array([[0, 1], [2, 0]]), None),
        Answers("continuous", np.array([[0, 1], [2, 2]]), None),
    )
    assert (sentences.clips, sentences.top1_agreement, sentences.accuracy) == (2, pytest.approx(2 / 3), None)


def test_at_most_so_many_validation_clips_are_answered(exports):
    artefact = RunArtefact(exports.run)
    every, one = (validation_answers(artefact, exports.records, limit) for limit in (99, 1))
    assert (len(every.top1), len(one.top1)) == (exports.records.num_clips("validation"), 1)
    assert one.top1[0] == every.top1[-1]


def test_representative_clips_are_training_clips_chosen_by_the_seed(exports, tmp_path):
    inputs, _, _ = next(exports.records.evaluation_batches("train", 99).as_numpy_iterator())
    for number, seed in enumerate((1, 1, 2)):
        write_representative_clips(exports.records, 4, seed, tmp_path / str(number))
    first, again, other = (np.load(tmp_path / str(number) / "frames.npy") for number in range(3))
    assert first.shape == (4, 3, 32, 32, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    for clip, mask in zip(first, np.load(tmp_path / "0" / "frame_mask.npy"), strict=True):
        place = next(index for index, frames in enumerate(inputs["frames"]) if (frames == clip).all())
        np.testing.assert_array_equal(mask, inputs["frame_mask"][place])
