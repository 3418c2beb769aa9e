"""Sentences from records to exports, through the real command: a toy whose glosses are places of a hand."""

import csv
import itertools
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from sign_keras.ctc.labels import logit_frames
from sign_keras.data.dataset import Records
from sign_keras.decoding import Decoder
from sign_keras.evaluate import main as evaluate_main
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.predictor import Predictor, SentencePrediction
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.sliding_window import WindowFrames
from sign_keras.models import build_model
from sign_keras.predict import _as_json, _as_text
from sign_keras.predict import main as predict_main
from sign_keras.run import Run
from sign_keras.train import leave_out_sentences
from sign_keras.training.trainer import train as fit_run
from tests.sign_keras.conftest import GLOSSES, sentence_points
from tests.sign_keras.toy_training import history, run_train
from tests.sign_keras.training.interrupted import NOT_COMPARED
from tfrecords_tools.clips import Clip
from tfrecords_tools.command_line import SUCCESS, UserError
from tfrecords_tools.crop import FULL_FRAME
from tfrecords_tools.extract import ExtractedClip
from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.keypoints import ClipKeypoints

NO_EXTRAS = {"center": "none", "scale": "none", "canonical_hand": False, "hand_relative": False, "differences": []}
TOY = {
    "name": "toy",
    "seed": 1,
    "sampling": {"num_frames": 32, "frame_rate": 25, "height": 32, "width": 32},
    "data": {"cache": "memory", "augment": {"speed": 0.2}},
    "model": {
        "architecture": "keypoint_ctc",
        "causal": True,
        "features": {"points": "right_hand", "causal": True, **NO_EXTRAS},
        "dim": 16,
        "stages": 1,
        "conv_blocks": 1,
        "transformer_blocks": 0,
        "kernel_size": 3,
        "channel_attention": False,
        "batch_norm_momentum": 0.5,
        "top_units": 16,
        "dropout": 0,
        "drop_path": 0,
    },
    "train": {"epochs": 4, "batch_size": 4, "learning_rate": 0.02, "monitor": "val_wer"},
    "evaluate": {
        "bootstrap_samples": 100,
        "decoding": {"method": "beam", "width": 4, "language_model": "learn", "tune": True},
    },
    "export": {"formats": ["savedmodel", "tflite"]},
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory, tiny_sentence_records):
    """A trained, evaluated and exported toy."""
    directory = tmp_path_factory.mktemp("toy")
    assert run_train(directory, tiny_sentence_records, TOY) == SUCCESS
    run = Run.load(directory / "runs/toy")
    records = Records.open(tiny_sentence_records, run.config.sampling, ("keypoints", "frame_mask"), "continuous")
    return SimpleNamespace(
        directory=directory,
        run=run,
        records=records,
        metrics=json.loads((run.directory / "metrics.json").read_text()),
    )


def test_it_learns_to_read_people_it_has_never_seen(toy):
    assert toy.metrics["word_error_rate"]["wer"] < 0.2
    rows = history(toy.run)
    assert min(row["val_wer"] for row in rows) < 0.2  # of the likeliest labels, without a language model
    assert rows[-1]["wer"] < rows[0]["wer"]


def test_the_best_epoch_is_that_of_the_least_word_error_rate(toy):
    state = json.loads((toy.run.directory / "checkpoints/state.json").read_text())
    rates = [row["val_wer"] for row in history(toy.run)]
    assert state["best_value"] == min(rates)
    assert state["best_epoch"] == rates.index(min(rates)) + 1


def test_clips_that_cannot_be_learnt_are_listed_before_training(toy):
    with (toy.run.directory / "infeasible.csv").open(newline="") as file:
        assert {row["path"] for row in csv.DictReader(file)} == {f"s{signer}_short.npy" for signer in range(4)}


def test_what_is_left_behind_has_its_form(toy):
    metrics = toy.metrics
    assert set(metrics["word_error_rate"]) >= {"wer", "accuracy", "total_errors", "total_words", "error_types"}
    assert metrics["stage_metrics"]["stage4"].keys() == {
        "sequence_accuracy",
        "ctc_alignment_score",
        "blank_usage",
    }
    assert metrics["decoding"]["language_model"] is True
    assert metrics["decoding"]["tuning"]["sentences"] == 10
    with (toy.run.directory / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    errors = sum(int(row[kind]) for row in rows for kind in ("substitutions", "deletions", "insertions"))
    assert (len(rows), errors) == (10, metrics["word_error_rate"]["total_errors"])
    page = (toy.run.directory / "report.html").read_text()
    for text in ("Word error rate", "By length", "How far to trust this", "Learning", "as NIST&#39;s sclite"):
        assert text in page
    assert "NIST" in page


@pytest.mark.parametrize("kind", ["savedmodels/toy", "tflite/toy.tflite"])
def test_exports_carry_what_reads_their_logits(toy, kind):
    own, exported = RunArtefact(toy.run), load_artefact(toy.directory / kind)
    assert exported.info == own.info
    assert (exported.task, exported.info.blank, exported.frames_per_logit) == ("continuous", 0, 1)
    assert exported.sentence_decoding.language_model.startswith("\\data\\")
    report = json.loads((toy.directory / kind).with_suffix(".json").read_text())
    assert report["parity"]["max_probability_difference"] < 1e-4
    assert report["parity_of_step"]["max_probability_difference"] < 1e-4
    inputs, labels, _ = next(toy.records.evaluation_batches("test", 10).as_numpy_iterator())
    lengths = logit_frames(labels[:, 0], exported.frames_per_logit)
    decoder = Decoder(exported.sentence_decoding, exported.label_map.glosses)
    read, expected = (decoder.decode(artefact.logits(inputs), lengths) for artefact in (exported, own))
    assert [decoding.gloss_ids for decoding in read] == [decoding.gloss_ids for decoding in expected]


def test_an_export_is_evaluated_as_its_run_was(toy, run_main, monkeypatch):
    monkeypatch.chdir(toy.directory)
    arguments = ("--records", toy.records.directory, "--output", toy.directory / "again")
    status, output, _ = run_main(evaluate_main, "--model", "tflite/toy.tflite", *arguments)
    assert status == SUCCESS
    assert f"WER {toy.metrics['word_error_rate']['wer']:.3f}" in output
    again = json.loads((toy.directory / "again/metrics.json").read_text())
    assert again["word_error_rate"] == toy.metrics["word_error_rate"]
    status, _, error = run_main(evaluate_main, "--model", "tflite/toy.tflite", *arguments, "--crops", 3)
    assert status == 2
    assert "toy reads sentences" in error


def extracted(points: np.ndarray) -> ExtractedClip:
    """What a worker makes of a video of these points."""
    num_frames = len(points)
    presence = np.ones((num_frames, len(MEDIAPIPE_HOLISTIC.groups)), bool)
    keypoints = ClipKeypoints(points.astype(np.float16), np.ones((num_frames, 33), np.float16), presence)
    return ExtractedClip(
        clip=Clip("a.mp4", (), "a.mp4"),
        jpegs=[],
        seconds=np.arange(num_frames) / 25,
        frame_rate=25.0,
        width=64,
        height=48,
        keypoints=keypoints,
        crop_box=FULL_FRAME,
        pixels=None,
    )


def person() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.3, 0.7, (len(MEDIAPIPE_HOLISTIC.names), 3))


def test_a_prediction_says_which_glosses_and_when(toy):
    predictor = Predictor(load_artefact(toy.directory / "tflite/toy.tflite"))
    points = sentence_points(person(), ["hello", "yes"], np.random.default_rng(1))
    answer = predictor.answer(extracted(points))
    assert isinstance(answer, SentencePrediction)
    assert answer.text == "hello yes"
    assert 0.5 < answer.confidence <= 1
    assert not answer.cut
    hand = points[:, MEDIAPIPE_HOLISTIC.group_slices["right_hand"], 1].mean(axis=1)
    for gloss, is_signed in zip(answer.glosses, (hand < hand[0] - 0.2, hand > hand[0] + 0.2), strict=True):
        first, last = np.flatnonzero(is_signed)[[0, -1]] / 25
        assert first - 0.05 <= gloss.start_seconds < gloss.end_seconds <= last + 0.2
        assert 0.5 < gloss.confidence <= 1
    content = json.loads(_as_json(answer))
    assert content["predicted_text"] == "hello yes"
    assert content["predicted_glosses"][0].keys() == {"gloss", "start_seconds", "end_seconds", "confidence"}
    assert _as_text(answer).startswith("a.mp4: hello yes\n")


def test_a_video_without_signs_and_one_that_is_too_long_are_said_so(toy):
    predictor = Predictor(load_artefact(toy.directory / "tflite/toy.tflite"))
    still = predictor.answer(extracted(sentence_points(person(), [], np.random.default_rng(1))))
    assert (still.text, still.glosses) == ("", ())
    assert "no signs that it knows" in _as_text(still)
    long = predictor.answer(extracted(sentence_points(person(), ["yes"] * 8, np.random.default_rng(1))))
    assert long.cut
    assert long.glosses[0].start_seconds > 0.2  # the middle is seen, and times are those of the video
    assert "its middle alone" in _as_text(long)


@pytest.mark.parametrize("kind", ["tflite/toy.tflite", "savedmodels/toy", "runs/toy"])
def test_by_windows_a_recording_that_is_too_long_is_read_whole(toy, kind, monkeypatch, tmp_path, run_main):
    """Through a causal model frame by frame, and as one that needs clips has to be used."""
    sentence = ["yes", "hello", "thanks", "yes", "thanks", "hello", "yes", "hello"]
    long = extracted(sentence_points(person(), sentence, np.random.default_rng(1)))
    assert len(long.seconds) > 50
    # Files are not read here: what is in them is.
    monkeypatch.setattr("sign_keras.inference.predictor.extract_clips", lambda clips, *_: [long for _ in clips])
    if kind == "runs/toy":
        monkeypatch.setattr(RunArtefact, "state_size", 0)
    arguments = ("--model", toy.directory / kind, "--json", "--window", 1.28, "a.mp4", "b.mp4")
    status, output, _ = run_main(predict_main, *arguments)
    assert status == SUCCESS
    answers = [json.loads(line) for line in output.splitlines()]
    assert answers[0] == answers[1]
    assert answers[0]["predicted_text"] == " ".join(sentence)
    assert (answers[0]["cut"], answers[0]["confidence"]) == (False, None)
    times = [(gloss["start_seconds"], gloss["end_seconds"]) for gloss in answers[0]["predicted_glosses"]]
    assert all(start < end <= following for (start, end), (following, _) in itertools.pairwise(times))
    assert times[-1][1] > 1.28


def test_a_recording_that_the_model_can_take_is_read_as_without_windows(toy):
    artefact = load_artefact(toy.directory / "tflite/toy.tflite")
    clip = extracted(sentence_points(person(), ["hello", "yes"], np.random.default_rng(1)))
    by_windows = Predictor(artefact, window=WindowFrames(16, 4, 4))
    assert by_windows.answer(clip) == Predictor(artefact).answer(clip)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            ["--window", "3", "--hop", "2"],
            "a window of 3 s that moves on by 2 s: it must be at least 4 times as long",
        ),
        (["--window", "nan"], "--window nan: must be above 0"),
        (["--hop", "1"], "--hop: says how far a window moves on; give --window as well"),
    ],
)
def test_windows_that_cannot_be_are_one_line(toy, options, fault, run_main):
    status, output, error = run_main(
        predict_main, "--model", toy.directory / "tflite/toy.tflite", *options, "a.mp4"
    )
    assert (status, output) == (2, "")
    assert fault in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_training_that_stopped_goes_on_as_if_it_had_not(toy, tmp_path):
    """Killed within its third epoch, it ends with the history of the one that was not."""
    run = Run.create(tmp_path / "toy", toy.run.config, toy.run.label_map, toy.run.info)
    records = leave_out_sentences(toy.records, run)

    def fit(resume=False):
        fit_run(run, records, lambda: build_model(run.config.model, run.clip_input, len(GLOSSES)), resume=resume)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sign_keras.training.callbacks.StopOnNonFiniteLoss.on_train_batch_end", kill_in(2))
        with pytest.raises(KeyboardInterrupt):
            fit()
    assert len(history(run)) == 2
    fit(resume=True)
    expected = [row | NOT_COMPARED for row in history(toy.run)]
    assert [row | NOT_COMPARED for row in history(run)] == expected


def kill_in(epoch):
    def on_train_batch_end(callback, batch, logs=None):
        if callback._epoch == epoch and batch == 3:
            raise KeyboardInterrupt

    return on_train_batch_end


def test_a_sentence_model_enrols_no_sign(toy):
    with pytest.raises(UserError, match="reads sentences"):
        RunArtefact(toy.run).logits_and_embeddings({})


def test_records_in_which_nothing_fits_are_refused_before_training(tmp_path, tiny_sentence_records):
    records = tmp_path / "records"
    shutil.copytree(tiny_sentence_records, records)
    with pytest.raises(UserError, match="no clip of split 'train' can be used"):
        run_train(tmp_path, records, TOY, sampling={"num_frames": 3})


def test_glosses_are_those_of_the_records(toy):
    assert toy.run.label_map.glosses == GLOSSES
