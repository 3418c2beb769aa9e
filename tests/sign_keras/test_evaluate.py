import json
from pathlib import Path

import numpy as np
import pytest

from sign_keras.config import ViewsConfig
from sign_keras.data.compatibility import check_clip_spec
from sign_keras.data.dataset import Records
from sign_keras.data.views import make_views
from sign_keras.evaluate import default_output, evaluate, evaluate_artefact, format_summary, main
from sign_keras.run import Run
from tests.conftest import moving_square
from tfrecords_tools.clips import CropSpec, SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.convert import convert_source
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.video import write_video

SAMPLING = SamplingSpec(num_frames=4, height=24, width=32)


class FakeArtefact:
    """Right about all clips but every third; knows them by the order in which they come."""

    name, input_names, sampling = "fake", ("frames",), SAMPLING
    temperature, thresholds, no_sign = 1.0, {}, None
    task, frames_per_logit = "isolated", 1

    def __init__(self, records: Records, glosses: tuple[str, ...], split: str = "test") -> None:
        self.label_map = LabelMap(glosses)
        self.clip_spec = records.info.clip_spec.model_copy(update={"sampling": SAMPLING})
        self.answers = []
        if records.num_clips(split):
            for _, labels, _ in records.evaluation_batches(split, 16):
                self.answers += [records.label_map.glosses[label] for label in labels.numpy()]
        self.seen = 0

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        batch = inputs["frames"]
        assert batch.shape[1:] == (4, 24, 32, 3)
        rows = np.zeros((len(batch), len(self.label_map)), np.float32)
        for row in rows:
            answer = self.label_map.id(self.answers[self.seen])
            row[answer if self.seen % 3 else (answer + 1) % len(row)] = 3
            self.seen += 1
        return rows


class SeeingArtefact(FakeArtefact):
    """Its answers depend on the pictures alone."""

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        batch = inputs["frames"].astype(np.float32) / 255
        weights = np.random.default_rng(0).normal(0, 1, (batch[0].size, len(self.label_map)))
        return (batch.reshape(len(batch), -1) @ weights / 5).astype(np.float32)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of 3 glosses, 4 signers: 12 tiny clips without keypoints."""
    root = tmp_path_factory.mktemp("evaluated")
    for number, gloss in enumerate(("hello", "thanks", "yes")):
        for signer in range(4):
            path = root / "signs" / gloss / f"s{signer}_0.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, moving_square(ground=20 + 15 * (4 * number + signer)), 25)
    settings = {
        "keypoints": None,
        "short_side": 48,
        "split": {"test": 0.5, "validation": 0.25},
        "source": {"signer_pattern": "(?P<signer>s[0-9]+)_"},
    }
    convert_source("video_folders", root / "signs", root / "records", settings, workers=1)
    return root / "records"


@pytest.fixture
def records(directory: Path) -> Records:
    return Records.open(directory, SAMPLING, ("frames",))


def test_every_clip_is_predicted_once(records):
    predictions = evaluate_artefact(FakeArtefact(records, records.label_map.glosses), records, "test", 4)
    assert len(predictions) == records.num_clips("test") == 6
    assert len(set(predictions.media_ids)) == 6
    assert set(predictions.signers) == set(records.info.splits["test"].signers)
    assert (predictions.predicted == predictions.labels).tolist() == [False, True, True] * 2


def test_batch_size_changes_nothing(records):
    found = [
        evaluate_artefact(FakeArtefact(records, records.label_map.glosses), records, "test", size)
        for size in (1, 5)
    ]
    np.testing.assert_array_equal(found[0].logits, found[1].logits)
    assert found[0].media_ids == found[1].media_ids


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_one_view_gives_the_models_own_logits(records):
    artefact = SeeingArtefact(records, records.label_map.glosses)
    own = np.concatenate(
        [artefact.logits(inputs) for inputs, _, _ in records.evaluation_batches("test", 4).as_numpy_iterator()]
    )
    np.testing.assert_array_equal(evaluate_artefact(artefact, records, "test", 4).logits, own)


def test_probabilities_are_averaged_over_views(records):
    artefact = SeeingArtefact(records, records.label_map.glosses)
    views = ViewsConfig(offsets=2, mirror=True)
    probabilities = []
    for view in make_views(views, 4):
        batches = records.evaluation_batches("test", 100, view).as_numpy_iterator()
        probabilities.append(softmax(artefact.logits(next(batches)[0])))
    assert len(probabilities) == 4
    assert np.std(probabilities, axis=0).max() > 0.01
    plain = evaluate_artefact(artefact, records, "test", 4)
    averaged = evaluate_artefact(artefact, records, "test", 4, views)
    np.testing.assert_allclose(averaged.probabilities, np.mean(probabilities, axis=0), atol=1e-6)
    # Every clip once, by name and in the same order.
    assert averaged.media_ids == plain.media_ids
    np.testing.assert_array_equal(averaged.labels, plain.labels)


def test_averaging_survives_a_model_that_is_certain(records):
    artefact = SeeingArtefact(records, records.label_map.glosses)
    artefact.logits = lambda inputs: np.tile(np.float32([0, 2000, -2000]), (len(inputs["frames"]), 1))
    averaged = evaluate_artefact(artefact, records, "test", 4, ViewsConfig(offsets=2))
    assert np.isfinite(averaged.logits).all()
    assert (averaged.predicted == 1).all()


@pytest.mark.parametrize("glosses", [("yes", "hello", "thanks"), ("no", "yes", "thanks", "hello", "more")])
def test_glosses_are_matched_by_name(records, glosses):
    artefact = FakeArtefact(records, glosses)
    predictions = evaluate_artefact(artefact, records, "test")
    assert [glosses[label] for label in predictions.labels] == artefact.answers
    assert (predictions.predicted == predictions.labels).sum() == 4


def test_a_gloss_that_the_model_does_not_know(records):
    with pytest.raises(UserError, match=r"split 'test' holds the gloss 'thanks', which is not among the model's 2"):
        evaluate_artefact(FakeArtefact(records, ("hello", "yes")), records, "test")


def test_an_empty_split_is_named(directory, records):
    with pytest.raises(UserError, match="split 'nothing' is empty"):
        evaluate_artefact(FakeArtefact(records, records.label_map.glosses, "nothing"), records, "nothing")


def test_logits_that_are_not_finite_name_the_clip(records):
    artefact = FakeArtefact(records, records.label_map.glosses)
    artefact.logits = lambda inputs: np.full((len(inputs["frames"]), 3), np.nan, np.float32)
    with pytest.raises(UserError, match=r"s\d_0\.mp4: the model's logits are not finite"):
        evaluate_artefact(artefact, records, "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"short_side": 64}, r"short_side is 48, but the model wants 64; .*--set short_side=64"),
        ({"crop": CropSpec(mode="hands")}, r"crop\.mode is 'full', but the model wants 'hands'"),
        (
            {"sampling": SAMPLING.model_copy(update={"num_frames": 8})},
            r"opened with sampling\.num_frames 4, but the model wants 8",
        ),
    ],
)
def test_other_clip_specs_are_refused(records, change, message):
    spec = records.info.clip_spec.model_copy(update={"sampling": SAMPLING})
    with pytest.raises(UserError, match=message):
        check_clip_spec(spec.model_copy(update=change), records)


def test_clip_specs_may_differ_where_no_input_depends_on_it(records):
    change = {"sampling": SAMPLING, "keypoints": "mediapipe_holistic", "crop": CropSpec(margin=0.5)}
    check_clip_spec(records.info.clip_spec.model_copy(update=change), records)


def test_evaluate_writes_its_files(records, tmp_path):
    artefact = FakeArtefact(records, records.label_map.glosses)
    metrics = evaluate(artefact, records, "test", tmp_path / "out", bootstrap_samples=200)
    assert metrics["top1"] == pytest.approx(4 / 6)
    assert metrics["views"] == {"crops": 1, "offsets": 1, "mirror": False}
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion_matrix.png",
        "metrics.json",
        "predictions.csv",
        "report.html",
    ]
    assert format_summary(metrics).startswith("test: 6 clips, 2 signers\ntop-1 66.7 % (95 % interval ")


def test_default_output_is_named_after_all_three(tmp_path, directory):
    (tmp_path / "my.run").mkdir()
    info = DatasetInfo.load(directory)
    assert default_output(tmp_path / "my.run", directory, "test", info, None).name == "my.run-records-test"
    assert default_output(tmp_path / "m.tflite", directory, "train", info, None).name == "m-records-train"
    views = ViewsConfig(crops=5, offsets=2, mirror=True)
    name = default_output(tmp_path / "m.tflite", directory, "test", info, None, views).name
    assert name == "m-records-test-5_crops-2_offsets-mirror"


def test_other_views_than_a_runs_own_do_not_overwrite_its_results(tmp_path, directory, tiny_config):
    info = DatasetInfo.load(directory)
    run = Run(tmp_path / "run", tiny_config(evaluate={"views": {"offsets": 2}}), LabelMap(("hello",)), info)
    own, more = ViewsConfig(offsets=2), ViewsConfig(offsets=3)
    assert default_output(tmp_path / "run", directory, "test", info, run, own) == tmp_path / "run"
    assert default_output(tmp_path / "run", directory, "test", info, run, more) != tmp_path / "run"
    assert default_output(tmp_path / "run", directory, "test", info, run) != tmp_path / "run"


def test_command(records, directory, tmp_path, monkeypatch, run_main):
    artefact = FakeArtefact(records, records.label_map.glosses)
    monkeypatch.setattr("sign_keras.inference.loading.load_artefact", lambda path: artefact)
    model = tmp_path / "fake.tflite"
    model.touch()
    status, out, _ = run_main(main, "--model", model, "--records", directory, "--output", tmp_path / "out")
    assert status == 0
    assert out.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"


def test_command_averages_views(records, directory, tmp_path, monkeypatch, run_main):
    artefact = SeeingArtefact(records, records.label_map.glosses)
    monkeypatch.setattr("sign_keras.inference.loading.load_artefact", lambda path: artefact)
    model = tmp_path / "fake.tflite"
    model.touch()
    arguments = ("--model", model, "--records", directory, "--output", tmp_path / "out")
    status, out, _ = run_main(main, *arguments, "--offsets", 2, "--no-mirror")
    assert status == 0
    assert "averaged over views: 1 crop(s), 2 offset(s)" in out.splitlines()
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["views"] == {"crops": 1, "offsets": 2, "mirror": False}
    assert metrics["clips"] == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--model", "nowhere", "--records", "."],
            "error: nowhere: no such run, SavedModel, .tflite or .onnx file",
        ),
        (["--model", ".", "--records", "nowhere"], "error: nowhere: no such folder"),
        (["--model", ".", "--records", ".", "--batch-size", "0"], "error: --batch-size 0: must be at least 1"),
        (
            ["--model", ".", "--records", ".", "--offsets", "0"],
            "error: --crops, --offsets, --mirror: offsets: input",
        ),
    ],
)
def test_command_errors_are_one_line(run_main, arguments, message):
    status, _, err = run_main(main, *arguments)
    assert status == 2
    assert err.startswith(message)
    assert err.count("\n") == 1
