from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sign_keras.data.dataset import Records
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.predictor import Prediction, Predictor, extraction_spec
from tfrecords_tools.clips import Clip, ClipSpec, CropSpec, SamplingSpec
from tfrecords_tools.convert import convert_source
from tfrecords_tools.extract import SkippedClip
from tfrecords_tools.workers import extract_clips


@pytest.fixture(scope="module")
def evaluated(exports):
    """``(video, probabilities [V])`` of every test clip, from its record."""
    artefact = load_artefact(exports.run.directory)
    found = []
    for inputs, _, metadata in exports.records.evaluation_batches("test", 4).as_numpy_iterator():
        paths = [path.decode() for path in metadata["path"]]
        found += zip(paths, artefact.probabilities(inputs), strict=True)
    return found


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("runs/tiny", 1e-4), ("savedmodels/tiny", 1e-4), ("tflite/tiny.tflite", 1e-3)]
)
def test_a_video_is_answered_as_its_record_was(exports, evaluated, kind, tolerance):
    predictor = Predictor(load_artefact(exports.directory / kind), top_k=3)
    paths = [path for path, _ in evaluated]
    predictions = list(predictor.predict(paths, workers=1))
    assert [item.path for item in predictions] == paths
    for item, (_, expected) in zip(predictions, evaluated, strict=True):
        assert isinstance(item, Prediction)
        for scored in item.glosses:
            index = exports.run.label_map.id(scored.gloss)
            assert scored.probability == pytest.approx(expected[index], abs=tolerance)
        assert [scored.probability for scored in item.glosses] == sorted(
            (scored.probability for scored in item.glosses), reverse=True
        )
        num_frames = {"hello": 6, "thanks": 7, "yes": 8}[Path(item.path).parent.name]
        assert item.seconds == pytest.approx((num_frames - 1) / 12, abs=1e-3)


def test_inputs_from_a_video_are_those_from_its_record(exports, evaluated):
    predictor = Predictor(load_artefact(exports.tflite))
    inputs, _, metadata = next(exports.records.evaluation_batches("test", 1).as_numpy_iterator())
    path = metadata["path"][0].decode()
    (extracted,) = extract_clips([Clip(path, (), path)], exports.run.info.clip_spec, workers=1)
    found = predictor.inputs(extracted)
    assert found.keys() == inputs.keys()
    for name, values in inputs.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_unreadable_videos_are_skipped_in_their_place(exports, evaluated, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    paths = [evaluated[0][0], str(broken), evaluated[1][0]]
    results = list(Predictor(load_artefact(exports.tflite), top_k=1).predict(paths, workers=1))
    assert [isinstance(result, Prediction) for result in results] == [True, False, True]
    assert isinstance(results[1], SkippedClip)
    assert "cannot be opened as a video" in results[1].reason
    assert len(results[0].glosses) == 1


@pytest.mark.parametrize(
    ("crop", "inputs", "expected"),
    [
        ("full", ("frames",), None),
        ("full", ("frames", "frame_mask"), None),
        ("hands", ("frames",), "mediapipe_holistic"),
        ("full", ("frames", "keypoints"), "mediapipe_holistic"),
        ("full", ("keypoints",), "mediapipe_holistic"),
    ],
)
def test_mediapipe_runs_only_where_something_looks_at_keypoints(crop, inputs, expected):
    sampling = SamplingSpec(num_frames=4, height=32, width=32)
    spec = ClipSpec(crop=CropSpec(mode=crop), short_side=50, sampling=sampling)
    found = extraction_spec(spec, inputs)
    assert found.keypoints == expected
    assert found == ClipSpec(crop=spec.crop, short_side=50, keypoints=expected)


def test_top_k_is_at_least_one():
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        Predictor(None, top_k=0)


@pytest.mark.slow
def test_hand_crops_and_keypoints_of_a_video_are_those_of_its_record(tmp_path):
    from tfrecords_tools.synthesize import synthesize

    synthesize(tmp_path / "videos", signers=1, clips_per_gloss=1, seed=3, glosses=["hello"], size=192)
    crop = {"mode": "hands", "margin": 0.25}
    settings = {"short_side": 64, "crop": crop, "split": {"validation": 0, "test": 0}}
    info = convert_source("synthetic", tmp_path / "videos", tmp_path / "records", settings, workers=1)
    assert info.crop_origins == {"hands": 1}
    sampling = SamplingSpec(num_frames=6, height=48, width=48)
    records = Records.open(tmp_path / "records", sampling, ("frames", "keypoints"))
    inputs, _, metadata = next(records.evaluation_batches("train", 1).as_numpy_iterator())
    artefact = SimpleNamespace(
        clip_spec=info.clip_spec.model_copy(update={"sampling": sampling}),
        sampling=sampling,
        input_names=("frames", "keypoints"),
        keypoint_layout="mediapipe_holistic",
    )
    predictor = Predictor(artefact)
    path = metadata["path"][0].decode()
    spec = extraction_spec(artefact.clip_spec, artefact.input_names)
    (extracted,) = extract_clips([Clip(path, (), path)], spec, workers=1)
    found = predictor.inputs(extracted)
    np.testing.assert_array_equal(found["frames"], inputs["frames"])
    np.testing.assert_array_equal(found["keypoints"], inputs["keypoints"])
