"""Figures of sentences, computed by hand."""

import numpy as np
import pytest

from sign_keras.ctc.arpa import to_arpa
from sign_keras.ctc.kneser_ney import learn_language_model
from sign_keras.decoding import Decoder, SentenceDecoding, Tuning
from sign_keras.reporting.sentences import confused_glosses, worst_sentences
from sign_keras.sentence_metrics import ReadSentences, SentenceLogits, sentence_metrics
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap

GLOSSES = LabelMap(("buy", "house", "john"))
BUY, HOUSE, JOHN = 1, 2, 3  # labels
SURE = 8.0


def logits_of(*labels: int) -> np.ndarray:
    """Logits that are sure of a label in each frame."""
    return (SURE * np.eye(4)[list(labels)]).astype(np.float32)


def read(clips: list[tuple[str, str, np.ndarray]], how: SentenceDecoding | None = None) -> ReadSentences:
    """Clips of (reference, signer, logits)."""
    logits = SentenceLogits(
        [clip[2] for clip in clips],
        [tuple(clip[0].split()) for clip in clips],
        [f"clip{number}" for number in range(len(clips))],
        [f"clip{number}.mp4" for number in range(len(clips))],
        [clip[1] for clip in clips],
    )
    decoder = Decoder(how or SentenceDecoding(), GLOSSES.glosses)
    decodings = [decoder.decode(clip[2][None], [len(clip[2])])[0] for clip in clips]
    return ReadSentences.of(logits, decodings, GLOSSES)


def measured(clips: list[tuple[str, str, np.ndarray]]) -> dict:
    return sentence_metrics(read(clips), GLOSSES, split="test", bootstrap_samples=100)


CLIPS = [
    ("john buy house", "anna", logits_of(JOHN, 0, BUY, 0, HOUSE, 0)),
    ("john buy", "anna", logits_of(JOHN, 0, HOUSE, 0)),
    ("house", "ben", logits_of(0, 0, 0, 0)),
    ("buy buy", "ben", logits_of(BUY, BUY, 0, BUY, JOHN)),
]


def test_errors_are_counted_by_kind_signer_length_and_gloss():
    metrics = measured(CLIPS)
    rate = metrics["word_error_rate"]
    assert rate["wer"] == pytest.approx(3 / 8)
    assert rate["error_types"] == {"substitutions": 1, "deletions": 1, "insertions": 1}
    assert rate["interval"][0] <= 3 / 8 <= rate["interval"][1]
    assert metrics["word_error_rate_sclite"]["scoring"] == "sclite"
    assert metrics["per_signer"]["anna"] == {"wer": 1 / 5, "errors": 1, "words": 5, "clips": 2}
    assert metrics["per_signer"]["ben"]["wer"] == pytest.approx(2 / 3)
    assert {length: row["errors"] for length, row in metrics["per_length"].items()} == {"1": 1, "2": 2, "3": 0}
    counts = metrics["per_gloss"]
    assert counts["buy"] == {"signed": 4, "hits": 3, "substituted": 1, "deleted": 0, "inserted": 0}
    assert counts["house"] == {"signed": 2, "hits": 1, "substituted": 0, "deleted": 1, "inserted": 1}
    assert counts["john"]["inserted"] == 1


def test_stage_metrics_are_shares_of_clips_and_of_frames():
    stage = measured(CLIPS)["stage_metrics"]["stage4"]
    assert stage["sequence_accuracy"] == 1 / 4
    assert stage["blank_usage"] == (3 + 2 + 4 + 1) / 19
    sure = np.exp(SURE) / (np.exp(SURE) + 3)
    missed = 1 / (np.exp(SURE) + 3)
    # One frame of the second, third and fourth clip says another label than the likeliest path of what was signed.
    expected = (16 * sure + 3 * missed) / 19
    assert stage["ctc_alignment_score"] == pytest.approx(expected)


def test_all_blank_output_leaves_every_gloss_out():
    metrics = measured([("john buy", "anna", logits_of(0, 0, 0)), ("house", "ben", logits_of(0, 0))])
    assert metrics["word_error_rate"]["error_types"] == {"substitutions": 0, "deletions": 3, "insertions": 0}
    assert metrics["word_error_rate"]["wer"] == 1.0
    assert metrics["stage_metrics"]["stage4"]["blank_usage"] == 1.0


def test_an_empty_sentence_has_insertions_alone():
    metrics = measured([("", "anna", logits_of(0, JOHN)), ("house", "anna", logits_of(HOUSE))])
    assert metrics["word_error_rate"]["error_types"] == {"substitutions": 0, "deletions": 0, "insertions": 1}
    assert metrics["per_length"]["0"]["wer"] is None
    assert metrics["stage_metrics"]["stage4"]["sequence_accuracy"] == 0.5


def test_where_nothing_was_signed_there_is_no_rate():
    metrics = measured([("", "anna", logits_of(0, JOHN))])
    assert metrics["word_error_rate"]["wer"] is None
    assert metrics["word_error_rate"]["interval"] is None


def test_a_gloss_outside_the_map_is_an_error_and_named():
    metrics = measured([("john car", "anna", logits_of(JOHN, 0, BUY))])
    assert metrics["glosses_not_in_label_map"] == ["car"]
    assert metrics["word_error_rate"]["wer"] == 0.5
    assert metrics["stage_metrics"]["stage4"]["ctc_alignment_score"] is None  # the model cannot say it


def test_a_clip_too_short_for_its_sentence_counts_but_has_no_alignment():
    metrics = measured([("john buy house", "anna", logits_of(JOHN, BUY)), ("buy", "anna", logits_of(BUY))])
    assert metrics["word_error_rate"]["error_types"]["deletions"] == 1
    assert metrics["stage_metrics"]["stage4"]["ctc_alignment_score"] == pytest.approx(
        np.exp(SURE) / (np.exp(SURE) + 3)
    )


def test_worst_sentences_come_first_and_confusions_are_counted():
    found = read(CLIPS)
    assert [sentence["media_id"] for sentence in worst_sentences(found)] == ["clip2", "clip1", "clip3"]
    assert confused_glosses(found.alignments) == [("buy", "house", 1)]


def test_a_language_model_changes_what_is_unsure():
    model = to_arpa(learn_language_model([["john", "buy"]] * 20, GLOSSES.glosses, order=2))
    unsure = logits_of(JOHN, 0, 0)
    unsure[2] = [0, 1.0, 1.3, 0]  # rather a house
    how = SentenceDecoding(method="beam", weight=1.0, language_model=model)
    (greedy,), (beam,) = read([("", "", unsure)]).hypotheses, read([("", "", unsure)], how).hypotheses
    assert greedy == ("john", "house")
    assert beam == ("john", "buy")


def test_decoding_of_a_run_reads_back(tmp_path):
    assert SentenceDecoding.load(tmp_path) == SentenceDecoding()
    text = to_arpa(learn_language_model([["john"]], GLOSSES.glosses))
    tuning = Tuning(sentences=3, wer=0.25, wer_greedy=None)
    how = SentenceDecoding(method="beam", width=4, weight=0.5, language_model=text, tuning=tuning)
    how.save(tmp_path)
    assert (tmp_path / "language_model.arpa").read_text() == text
    assert SentenceDecoding.load(tmp_path) == how
    SentenceDecoding().save(tmp_path)
    assert not (tmp_path / "language_model.arpa").exists()


def test_damaged_decoding_is_one_line(tmp_path):
    (tmp_path / "decoding.json").write_text('{"method": "guess"}')
    with pytest.raises(UserError, match=r"decoding\.json: is damaged"):
        SentenceDecoding.load(tmp_path)
