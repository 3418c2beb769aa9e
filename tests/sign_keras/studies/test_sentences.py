import csv

import numpy as np
import pytest

from sign_keras.error_rate import align_sentences, error_rate_metrics
from sign_keras.studies.sentences import compare, read_answers, score
from tfrecords_tools.command_line import UserError

HEADER = "media_id,signer,reference,hypothesis,substitutions,deletions,insertions"
REFERENCES = ["john buy house", "mary love john", "ix", "", "who john see"]
SIGNERS = ["anna", "anna", "bob", "bob", "cleo"]
GOOD = ["john buy house", "mary john", "ix", "", "who see john"]
BAD = ["john house", "mary", "", "ix", "who john see see"]


def write_run(run, hypotheses, references=REFERENCES):
    """What an evaluation of these sentences leaves behind."""
    run.mkdir()
    split = [[text.split() for text in texts] for texts in (references, hypotheses)]
    with (run / "predictions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["media_id", "signer", "reference", "hypothesis", "substitutions", "deletions", "insertions"]
        )
        for number, alignment in enumerate(align_sentences(*split)):
            counts = [alignment.count(outcome) for outcome in ("substitution", "deletion", "insertion")]
            writer.writerow([number, SIGNERS[number], references[number], hypotheses[number], *counts])
    return run


def rate(hypotheses):
    split = [[text.split() for text in texts] for texts in (REFERENCES, hypotheses)]
    return error_rate_metrics(*split, SIGNERS, bootstrap_samples=10_000)["word_error_rate"]


def test_one_run_has_the_rate_and_the_interval_of_its_metrics(tmp_path):
    found, expected = score(read_answers([write_run(tmp_path / "1", BAD)])), rate(BAD)
    assert found["wer"] == pytest.approx(expected["wer"])
    assert found["wer_interval"] == pytest.approx(expected["interval"])
    assert (found["words"], found["clips"], found["signers"]) == (expected["total_words"], 5, 3)
    assert found["error_types"] == expected["error_types"]


def test_several_runs_have_the_mean_of_their_rates(tmp_path):
    runs = [write_run(tmp_path / "1", GOOD), write_run(tmp_path / "2", BAD)]
    expected = (rate(GOOD)["wer"] + rate(BAD)["wer"]) / 2
    assert score(read_answers(runs))["wer"] == pytest.approx(expected)


def test_differences_are_of_the_first_less_the_second_on_the_same_people(tmp_path):
    good, bad = (read_answers([write_run(tmp_path / name, said)]) for name, said in (("1", GOOD), ("2", BAD)))
    found = compare(bad, good)["wer"]
    assert found["difference"] == pytest.approx(rate(BAD)["wer"] - rate(GOOD)["wer"])
    assert found["interval_over"] == "signers"
    assert compare(good, good)["wer"]["interval"] == (0, 0)
    assert np.all(good.media_ids == bad.media_ids)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("0,anna,john,,x,0,0", "a count of errors is none"),
        ("0,anna,,,0,0,0", "no gloss is signed there"),
        ("0,anna", "is no row"),
    ],
)
def test_damaged_tables_are_named(row, fault, tmp_path):
    (tmp_path / "predictions.csv").write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(UserError, match=fault):
        read_answers([tmp_path])
