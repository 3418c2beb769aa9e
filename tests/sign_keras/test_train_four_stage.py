"""Sentences of frames through the four stages, from records to exports, by the real command."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from sign_keras.data.dataset import Records
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.predictor import Predictor, SentencePrediction
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.models import build_model
from sign_keras.predict import _as_json
from sign_keras.run import Run
from sign_keras.train import leave_out_sentences
from sign_keras.training.trainer import train as fit_run
from tests.sign_keras.conftest import GLOSSES, square_sentence
from tests.sign_keras.tiny_backbone import use_tiny_backbone
from tests.sign_keras.toy_training import history, run_train
from tests.sign_keras.training.interrupted import NOT_COMPARED
from tfrecords_tools.command_line import SUCCESS
from tfrecords_tools.video import write_video

TOY = {
    "name": "toy",
    "seed": 1,
    "sampling": {"num_frames": 28, "frame_rate": 10, "height": 32, "width": 32},
    "data": {"cache": "memory"},
    "model": {
        "architecture": "four_stage_ctc",
        "backbone_weights": "none",
        "backbone_trainable": True,
        "grid": 2,
        "width": 8,
        "selection": {"units": 4},
        "alignment": {"width": 6, "text_width": 10},
        "lstm_units": [6],
    },
    "train": {
        "epochs": 2,
        "batch_size": 4,
        "learning_rate": 0.003,
        "learning_rates": {"projection": 0.001, "text": 0.0002, "scorer": 0.005},
        "l2": 0.0001,
        "loss_weighting": {"name": "uncertainty", "rate": 0.1},
        "monitor": "val_wer",
    },
    "evaluate": {"bootstrap_samples": 100},
    "export": {"formats": ["savedmodel", "tflite"]},
}
LOSSES = ("alignment", "selection", "classification", "ctc")


@pytest.fixture(autouse=True, scope="module")
def _tiny_backbone():
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory, tiny_video_sentence_records):
    """A trained, evaluated and exported toy."""
    directory = tmp_path_factory.mktemp("toy")
    assert run_train(directory, tiny_video_sentence_records, TOY) == SUCCESS
    run = Run.load(directory / "runs/toy")
    model = run.config.model
    records = Records.open(
        tiny_video_sentence_records,
        run.config.sampling,
        ("frames", "frame_mask"),
        "continuous",
        model.frames_per_logit,
    )
    return SimpleNamespace(
        directory=directory,
        run=run,
        records=records,
        metrics=json.loads((run.directory / "metrics.json").read_text()),
    )


def test_each_loss_and_its_weight_is_in_the_history(toy):
    for row in history(toy.run):
        for name in LOSSES:
            assert np.isfinite([row[f"loss_{name}"], row[f"val_loss_{name}"], row[f"weight_{name}"]]).all()
    weights = [[row[f"weight_{name}"] for name in LOSSES] for row in history(toy.run)]
    assert weights[0] != weights[1]


@pytest.mark.parametrize("kind", ["savedmodels/toy", "tflite/toy.tflite"])
def test_exports_say_what_the_run_says(toy, kind):
    own, exported = RunArtefact(toy.run), load_artefact(toy.directory / kind)
    assert exported.info == own.info
    inputs, _, _ = next(toy.records.evaluation_batches("test", 4).as_numpy_iterator())
    expected, found = own.outputs(inputs), exported.outputs(inputs)
    assert found.keys() == expected.keys() > {"keyframe_indices", "frame_scores", "gloss_similarity"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


def test_clips_that_selection_leaves_too_short_are_said_to_be(toy, tmp_path):
    run = Run.create(tmp_path / "toy", toy.run.config, toy.run.label_map, toy.run.info)
    assert leave_out_sentences(toy.records, run) is toy.records
    settings = toy.run.config.model.selection.model_copy(update={"ratio": 0.05})
    model = toy.run.config.model.model_copy(update={"selection": settings})
    sparse = Records.open(
        toy.records.directory,
        toy.run.config.sampling,
        ("frames", "frame_mask"),
        "continuous",
        model.frames_per_logit,
    )
    run = Run.create(
        tmp_path / "sparse", toy.run.config.model_copy(update={"model": model}), run.label_map, run.info
    )
    left = leave_out_sentences(sparse, run)
    assert 0 < left.num_clips("train") < toy.records.num_clips("train")
    rows = list(csv.DictReader((run.directory / "infeasible.csv").open(newline="")))
    assert all(float(row["smallest_ratio"]) > 0.05 for row in rows)


def test_every_stage_has_its_metrics(toy):
    stages = toy.metrics["stage_metrics"]
    assert list(stages) == ["stage1", "stage2", "stage3", "stage4"]
    assert set(stages["stage1"]) == {"mean_similarity", "std_similarity", "alignment_quality"}
    assert -1 <= stages["stage1"]["mean_similarity"] <= 1
    assert 0.7 <= stages["stage2"]["keyframe_ratio"] < 0.8  # rounded up for each clip
    assert 0 < stages["stage2"]["selection_entropy"] <= 1
    assert stages["stage2"]["motion_roc_auc"] is None  # nobody knows what really moves in these videos
    assert stages["stage3"]["frame_labels"] == "alignment"
    assert 0 <= stages["stage3"]["temporal_consistency"] <= 1
    page = (toy.run.directory / "report.html").read_text()
    assert "frames that look more like their gloss than like any other" in page


def test_a_prediction_says_which_frames_were_kept_and_when_they_are(toy, tmp_path):
    video = tmp_path / "a.mp4"
    write_video(video, square_sentence(["hello"], np.random.default_rng(4)), 10)
    (answer,) = Predictor(load_artefact(toy.directory / "tflite/toy.tflite")).predict([str(video)], workers=1)
    assert isinstance(answer, SentencePrediction)
    num_frames = len(answer.frame_seconds)
    kept = list(answer.keyframe_indices)
    assert kept == sorted(set(kept))
    assert len(kept) == -(-num_frames * 7 // 10)
    assert max(kept) < num_frames == len(answer.frame_scores)
    np.testing.assert_allclose(np.diff(answer.frame_seconds), 0.1, rtol=1e-5)
    assert len(answer.attention_weights) == len(answer.glosses)
    for weights in answer.attention_weights:
        assert sum(weights) == pytest.approx(1)
    for gloss in answer.glosses:
        assert round(gloss.start_seconds * 10) in kept
        assert round(gloss.end_seconds * 10) - 1 in kept
    content = json.loads(_as_json(answer))
    assert content["keyframe_indices"] == kept
    assert {"frame_scores", "attention_weights", "frame_seconds"} <= content.keys()


@pytest.mark.slow
def test_learned_weights_of_losses_go_on_where_training_stopped(toy, tmp_path):
    """Killed in its second epoch, it ends with the history of the one that was not."""
    run = Run.create(tmp_path / "toy", toy.run.config, toy.run.label_map, toy.run.info)

    def fit(resume=False):
        build = lambda: build_model(run.config.model, run.clip_input, len(GLOSSES))  # noqa: E731
        fit_run(run, toy.records, build, resume=resume)

    def kill(callback, batch, logs=None):
        if callback._epoch == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sign_keras.training.callbacks.StopOnNonFiniteLoss.on_train_batch_end", kill)
        with pytest.raises(KeyboardInterrupt):
            fit()
    assert len(history(run)) == 1
    fit(resume=True)
    expected = [row | NOT_COMPARED for row in history(toy.run)]
    assert [row | NOT_COMPARED for row in history(run)] == expected
