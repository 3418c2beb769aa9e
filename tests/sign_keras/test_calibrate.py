import dataclasses
import shutil
import zipfile

import numpy as np
import pytest

from sign_keras.calibrate import answer, calibrate, choose_threshold, describe, main
from sign_keras.calibration import accepted, fit_temperature, sign_scores
from sign_keras.confidence import Confidence
from sign_keras.config import EvaluateConfig, NoSignConfig
from sign_keras.data.dataset import Records
from sign_keras.embeddings import Embeddings
from sign_keras.evaluate import confidence_metrics, evaluate_artefact, format_summary
from sign_keras.inference.info import add_to_saved_model, add_to_tflite
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.reporting.findings import acceptance_meaning, calibration_meaning, limits
from sign_keras.run import Run
from tests.sign_keras.export.tiny_export import make_exports, make_run
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap

SAMPLING = SamplingSpec(num_frames=4, height=32, width=32)


class MovementArtefact:
    """Sees how much of the clip changes from first to last frame; still clips are no sign."""

    name, temperature = "movement", 1.0
    thresholds: dict[str, float] = {}  # noqa: RUF012

    def __init__(self, records, glosses=("hello", "thanks", "yes", "no_sign"), no_sign="no_sign"):
        self.label_map, self.no_sign = LabelMap(glosses), no_sign
        self.clip_spec = records.info.clip_spec.model_copy(update={"sampling": records.sampling})

    def logits(self, inputs):
        frames = inputs["frames"].astype(np.float64)
        movement = np.abs(frames[:, -1] - frames[:, 0]).mean(axis=(1, 2, 3))
        logits = np.zeros((len(frames), len(self.label_map)), np.float32)
        logits[:, 0] = movement
        logits[:, -1] = 8
        return logits


@pytest.fixture
def records(tiny_records):
    return Records.open(tiny_records, SAMPLING, ("frames",))


@pytest.fixture
def run(tiny_records, tmp_path):
    """A run of its own, so that what is written into it changes no other test."""
    run, _ = make_run(tiny_records, tiny_records.parent / "exports" / "runs" / "tiny")
    shutil.copytree(run.directory, tmp_path / "tiny")
    return Run.load(tmp_path / "tiny")


def test_temperature_and_threshold_are_those_of_the_validation_split(records):
    artefact, config = MovementArtefact(records), EvaluateConfig()
    found = calibrate(answer(artefact, records, config, NoSignConfig()), 0.3)
    predictions = evaluate_artefact(artefact, records, "validation")
    assert found.temperature == fit_temperature(predictions.logits, predictions.labels)
    made_up = np.concatenate(
        [
            artefact.logits(inputs)
            for inputs, _, _ in records.non_sign_batches("validation", 8, NoSignConfig()).as_numpy_iterator()
        ]
    )
    assert found.calibration.clips == len(predictions)
    assert found.threshold.clips == len(made_up) == records.num_clips("validation")
    assert found.threshold.chosen_on == "non_signs"
    assert found.threshold.false_alarms <= 0.3


def test_without_clips_of_no_sign_mistakes_choose(records):
    artefact = MovementArtefact(records, ("hello", "thanks", "yes"), None)
    artefact.logits = lambda inputs: np.tile(np.float32([9, 0, 0]), (len(inputs["frames"]), 1))
    answers = answer(artefact, records, EvaluateConfig(), None)
    found = calibrate(answers, 0.05)
    assert found.thresholds == {}  # two in three answers are wrong, and all equally sure
    assert "threshold: none" in describe(found)
    found = calibrate(answers, 0.9)
    assert found.thresholds == {"sign": 0}
    assert found.threshold.chosen_on == "mistakes"
    assert found.threshold.false_alarms is None


def test_threshold_keeps_its_promise_on_the_clips_it_was_chosen_on():
    rng = np.random.default_rng(0)
    signs, non_signs = rng.beta(5, 2, 200), rng.beta(2, 3, 150)
    right = rng.random(200) < signs
    value, threshold = choose_threshold(signs, right, non_signs, 0.05)
    assert accepted(non_signs, value).mean() == threshold.false_alarms <= 0.05
    assert threshold.signs_accepted == (signs >= value).mean()
    value, _ = choose_threshold(signs, right, np.array([]), 0.05)
    assert (~right[signs >= value]).mean() <= 0.05


def test_unknown_signs_are_clips_without_a_sign_it_knows(records):
    artefact = MovementArtefact(records, ("hello", "thanks"), None)
    directory = records.directory
    with pytest.raises(UserError, match="which is not among the model's 2"):
        answer(artefact, records, EvaluateConfig(unknown_records=directory), None)
    known = MovementArtefact(records, ("hello", "thanks", "yes"), None)
    with pytest.raises(UserError, match="holds no sign that the model does not know"):
        answer(known, records, EvaluateConfig(unknown_records=directory), None)
    predictions = evaluate_artefact(known, records, "test")
    metrics = confidence_metrics(artefact, records, "test", predictions, unknown_records=directory)
    held = records.info.splits["test"].glosses["yes"]
    assert metrics["acceptance"]["false_alarms"] == {"unknown_signs": {"clips": held, "rate": 1.0}}


def test_metrics_and_report_speak_of_confidence(records):
    artefact = MovementArtefact(records)
    artefact.temperature, artefact.thresholds = 2.0, {"sign": 0.6}
    predictions = evaluate_artefact(artefact, records, "test")
    assert predictions.temperature == 2
    found = confidence_metrics(artefact, records, "test", predictions)
    scores = sign_scores(predictions.probabilities, 3)
    assert found["acceptance"]["signs_accepted"] == (scores >= 0.6).mean()
    assert found["acceptance"]["false_alarms"]["made_up"]["clips"] == records.num_clips("test")
    assert "recorded" not in found["acceptance"]["false_alarms"]
    assert found["calibration"]["temperature"] == 2
    assert "without the temperature of 2.00" in calibration_meaning(found)
    assert "An answer below 60.0" in acceptance_meaning(found)[0]
    assert len(acceptance_meaning(found)) == 2
    metrics = {
        "split": "test",
        "signers": 3,
        "per_signer": {},
        "top1_interval": (0.1, 0.9),
        "per_gloss": {"hello": {"support": 3}},
    }
    texts = [" ".join(limits(metrics | part, records.info, None)) for part in ({}, found)]
    assert "to somebody who does not sign at all, is not tested" in texts[0]
    assert "made up from clips of signs" in texts[1]
    assert "somebody who does not sign at all" not in texts[1]
    headline = {"interval_over": "signers", "top1": 0.5, "top5": 1, "macro_f1": 0.5, "chance": 0.1, "clips": 3}
    views = {"views": {"crops": 1, "offsets": 1, "mirror": False}}
    lines = format_summary(metrics | headline | views | found).splitlines()
    assert lines[2].startswith("calibration error ")
    assert lines[3].startswith("accepted as signs: ")


def test_averaged_views_have_no_figures_without_the_temperature(records):
    artefact = MovementArtefact(records)
    artefact.temperature = 2.0
    predictions = dataclasses.replace(evaluate_artefact(artefact, records, "test"), temperature=1.0)
    found = confidence_metrics(artefact, records, "test", predictions)["calibration"]
    assert found["temperature"] == 2
    assert not [name for name in found if name.endswith("_before")]


def test_the_command_measures_a_run(run, tiny_records, run_main):
    plain = RunArtefact(run)
    status, out, _ = run_main(main, "--run", run.directory, "--records", tiny_records, "--false-alarm-rate", 0.5)
    assert status == 0
    confidence = Confidence.load(run.directory)
    assert out.startswith(f"temperature {confidence.temperature:.3f} (calibration error of ")
    assert confidence.temperature != 1
    assert confidence.calibration.clips == run.info.splits["validation"].clips
    records = Records.open(tiny_records, plain.sampling, plain.input_names)
    known = Embeddings.load(run.directory)
    assert known.labels.tolist() == evaluate_artefact(plain, records, "validation").labels.tolist()
    inputs = next(records.evaluation_batches("validation", 16).as_numpy_iterator())[0]
    np.testing.assert_allclose(known.values, plain.logits_and_embeddings(inputs)[1], atol=1e-5)


def test_every_kind_of_artefact_obeys_the_temperature_it_carries(run, tiny_records, tmp_path):
    exports = make_exports(tiny_records)
    Confidence(temperature=2.5, thresholds={"sign": 0.4}).save(run.directory)
    info = RunArtefact(run).info
    shutil.copytree(exports.saved_model, tmp_path / "saved_model")
    add_to_saved_model(tmp_path / "saved_model", info)
    with zipfile.ZipFile(exports.tflite) as archive:  # the description lies behind the model
        size = min(part.header_offset for part in archive.infolist())
    (tmp_path / "model.tflite").write_bytes(exports.tflite.read_bytes()[:size])
    add_to_tflite(tmp_path / "model.tflite", info)
    inputs = next(exports.records.evaluation_batches("test", 4).as_numpy_iterator())[0]
    for path in (run.directory, tmp_path / "saved_model", tmp_path / "model.tflite"):
        artefact = load_artefact(path)
        assert artefact.temperature == 2.5
        assert artefact.thresholds == {"sign": 0.4}
        logits = artefact.logits(inputs).astype(np.float64) / 2.5
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(artefact.probabilities(inputs), expected, rtol=1e-5)
        assert artefact.accepts(expected).tolist() == (expected.max(axis=1) >= 0.4).tolist()


def test_what_was_found_is_read_anew_and_doubts_answers(run):
    artefact = RunArtefact(run)
    probabilities = np.array([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]])
    assert artefact.accepts(probabilities).tolist() == [True, True]
    assert "It always answers with one of its signs" in artefact.info.model_card
    Confidence(temperature=1.5, thresholds={"sign": 0.6}).save(run.directory)
    artefact.refresh()
    assert artefact.accepts(probabilities).tolist() == [False, True]
    assert "Below a probability of 0.600" in artefact.info.model_card
    artefact.info = artefact.info.model_copy(update={"no_sign": "hello"})
    assert artefact.accepts(probabilities).tolist() == [False, False]


def test_a_damaged_file_is_one_line(run, tiny_records, run_main):
    (run.directory / "confidence.json").write_text('{"temperature": -1}')
    with pytest.raises(UserError, match=r"confidence\.json: is damaged; delete it"):
        Confidence.load(run.directory)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "nowhere"], "nowhere: no such file or directory"),
        (["--run", "model.tflite"], "--run model.tflite: is an export"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, run_main, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tflite").touch()
    status, out, err = run_main(main, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_an_impossible_share_names_the_option(run, monkeypatch, run_main):
    status, _, err = run_main(main, "--run", run.directory, "--false-alarm-rate", 2)
    assert status == 2
    assert "--false-alarm-rate, --unknown: false_alarm_rate: " in err
