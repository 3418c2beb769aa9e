import csv

import numpy as np
import pytest

from sign_keras.studies.signs import read_answers
from tfrecords_tools.command_line import UserError


def write_run(run, answers):
    """(signer, gloss, predicted) of each clip."""
    run.mkdir()
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["media_id", "signer", "gloss", "predicted"])
        writer.writerows([number, *answer] for number, answer in enumerate(answers))
    return run


def test_seeds_are_averaged_clip_by_clip(tmp_path):
    one = write_run(tmp_path / "1", [("anna", "yes", "yes"), ("bob", "no", "yes")])
    two = write_run(tmp_path / "2", [("anna", "yes", "yes"), ("bob", "no", "no")])
    answers = read_answers([one, two])
    assert dict(zip(answers.media_ids, answers.correct, strict=True)) == {"0": 1.0, "1": 0.5}


def test_runs_that_disagree_about_a_clip_are_refused(tmp_path):
    one = write_run(tmp_path / "1", [("anna", "yes", "yes")])
    two = write_run(tmp_path / "2", [("anna", "no", "yes")])
    with pytest.raises(UserError, match=r"predictions.csv:2: is no row, or is of another signer or gloss"):
        read_answers([one, two])


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(UserError, match=r"predictions.csv: no such file"):
        read_answers([tmp_path])


def test_without_keeps_the_other_clips(tmp_path):
    run = write_run(tmp_path / "1", [("anna", "yes", "yes"), ("bob", "no", "yes"), ("bob", "no", "no")])
    answers = read_answers([run]).without({"anna"})
    assert set(answers.signers) == {"bob"}
    assert np.mean(answers.correct) == 0.5
