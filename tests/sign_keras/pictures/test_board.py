import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from sign_keras.data.dataset import Records
from sign_keras.metrics import Predictions
from sign_keras.pictures.board import flat_settings, show_best_epoch
from sign_keras.pictures.mistakes import BAR, MOST_MISTAKES, surest_mistakes
from sign_keras.reporting.findings import percent
from sign_keras.scoring import evaluate_artefact
from tests.sign_keras.training.interrupted import events
from tfrecords_tools.clips import SamplingSpec
from tfrecords_tools.inspection.sheets import STRIP_HEIGHT

METRICS = {"split": "test", "top1": 0.25}


def all_wrong(found: Predictions) -> Predictions:
    """Each clip is taken for the next gloss, the later the surer."""
    wanted = (found.labels + 1) % found.logits.shape[1]
    logits = np.zeros_like(found.logits)
    logits[np.arange(len(wanted)), wanted] = 1 + np.arange(len(wanted)) / len(wanted)
    return dataclasses.replace(found, logits=logits, temperature=1.0)


def test_a_board_has_mistakes_with_what_was_signed_and_said(sign_run, tmp_path):
    validation = all_wrong(evaluate_artefact(sign_run.artefact, sign_run.records, "validation"))
    for _ in range(2):  # written twice, and there once
        show_best_epoch(tmp_path, sign_run.artefact, sign_run.run, sign_run.records, validation, METRICS)
    found = events(tmp_path)
    assert {tag: len(steps) for tag, steps in found.items()} == dict.fromkeys(found, 1)
    ((step, images),) = found["mistakes"]
    width, height, *pngs = images
    assert len(pngs) == len(validation)
    picture = tf.io.decode_png(pngs[0]).numpy()
    assert picture.shape == (int(height), int(width), 3)
    assert int(height) == STRIP_HEIGHT + BAR
    assert float(found["test_top1"][0][1]) == 0.25
    assert found["test_top1"][0][0] == step


def test_the_surest_mistakes_come_first_and_are_not_too_many(tiny_keypoint_records):
    """Of keypoints alone: skeletons."""
    sampling = SamplingSpec(num_frames=4, height=32, width=32)
    records = Records.open(tiny_keypoint_records, sampling, ("keypoints",))
    clips = list(records.evaluation_batches("train", 1).as_numpy_iterator())
    names = [metadata["media_id"][0].decode() for _, _, metadata in clips]
    labels = np.array([label[0] for _, label, _ in clips])
    found = Predictions(np.zeros((len(labels), 3), np.float32), labels, names, names, ["anna"] * len(names))
    mistakes = surest_mistakes(all_wrong(found), records, "train", records.label_map.glosses)
    assert len(mistakes) == MOST_MISTAKES < len(names)
    signed, said = (records.label_map.glosses[label] for label in (labels[-1], (labels[-1] + 1) % 3))
    sure = np.exp(1 + (len(names) - 1) / len(names)) / (np.exp(1 + (len(names) - 1) / len(names)) + 2)
    assert mistakes[0].caption == f"signed {signed}; said {said}, {percent(sure)}; signer anna; {names[-1]}"
    for mistake in mistakes:
        assert mistake.picture.shape[0] == STRIP_HEIGHT + BAR
        assert (mistake.picture[:BAR].min(axis=(0, 1)) < 100).all()  # letters
        assert len(np.unique(mistake.picture[BAR:].reshape(-1, 3), axis=0)) > 20  # a skeleton on its ground


def test_clips_that_are_right_are_no_mistakes(tiny_keypoint_records):
    records = Records.open(tiny_keypoint_records, SamplingSpec(num_frames=4, height=32, width=32), ("keypoints",))
    right = Predictions(np.eye(3, dtype=np.float32), np.arange(3), ["a"] * 3, ["a"] * 3, [""] * 3)
    assert surest_mistakes(right, records, "train", records.label_map.glosses) == []


@pytest.mark.parametrize("kind", ["four_stage_run", "sentence_run"])
def test_frames_that_are_kept_are_shown_where_a_model_chooses(kind, request, tmp_path):
    opened = request.getfixturevalue(kind)
    metrics = {"split": "test", "word_error_rate": {"wer": 0.5}}
    show_best_epoch(tmp_path, opened.artefact, opened.run, opened.records, None, metrics)
    found = events(tmp_path)
    chooses = kind == "four_stage_run"
    assert {tag for tag in found if tag.startswith("keyframes")} == (
        {"keyframes/frame_scores", "keyframes/frames"} if chooses else set()
    )
    assert "mistakes" not in found
    # The monitored column is best in the second epoch, the first counting as 0.
    assert [step for step, _ in found["val_wer"]] == [1]
    assert float(found["test_wer"][0][1]) == 0.5
    for tag in ("keyframes/frame_scores", "keyframes/frames") if chooses else ():
        assert tf.io.decode_png(found[tag][0][1][2]).numpy().std() > 5


def test_settings_and_scores_are_where_hparams_looks(sign_run, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    show_best_epoch(tmp_path, sign_run.artefact, sign_run.run, sign_run.records, None, METRICS)
    board = EventAccumulator(str(tmp_path / "best_epoch"))
    board.Reload()
    content = board.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = parse_session_start_info_plugin_data(content).hparams
    assert found["train.batch_size"].number_value == sign_run.run.config.train.batch_size
    assert found["model.architecture"].string_value == "cnn_lstm"
    assert found["train.optimizer.name"].string_value == "adam"
    assert "_hparams_/session_end_info" in board.Tags()["tensors"]


def test_settings_are_flat():
    values = {"a": {"b": 1, "c": None, "d": {}}, "e": [1, 2], "f": [], "g": True, "h": "x", "i": ""}
    assert dict(flat_settings(values)) == {"a.b": 1.0, "e": "[1, 2]", "g": "true", "h": "x"}
