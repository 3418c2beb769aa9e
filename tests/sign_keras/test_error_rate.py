import itertools
import re
import subprocess
import urllib.parse
from pathlib import Path

import jiwer
import numpy as np
import pytest

from sign_keras.bootstrap import ratio_interval
from sign_keras.error_rate import Step, align_sentences, error_rate_metrics, word_error_rate

SCLITE = Path("/usr/lib/sctk/bin/sclite")
OUTCOMES = ("hit", "substitution", "deletion", "insertion")
# Awkward on purpose: sclite folds case, and has a meaning for @, brackets, braces, slashes and semicolons.
GLOSSES = ("HOUSE", "house", "IX-1p", "@", "(2h)GO", "{WH}", "NAME/CALL", ";;POSS", "fs-ÉVA", "100%")


def counts(reference: str, hypothesis: str, scoring: str) -> tuple[int, ...]:
    """Hits, substitutions, deletions and insertions of sentences whose glosses are letters."""
    (alignment,) = align_sentences([list(reference)], [list(hypothesis)], scoring)
    return tuple(alignment.count(outcome) for outcome in OUTCOMES)


def sentence_pairs(count: int, num_glosses: int = len(GLOSSES), seed: int = 0) -> tuple[list, list]:
    """Random sentences of up to 9 glosses, and others, of which half are made from these. Few glosses make ties."""
    rng = np.random.default_rng(seed)
    references, hypotheses = [], []
    for _ in range(count):
        reference = rng.integers(0, num_glosses, rng.integers(0, 10)).tolist()
        hypothesis = rng.integers(0, num_glosses, rng.integers(0, 10)).tolist()
        if rng.random() < 0.5:
            hypothesis = [rng.integers(num_glosses) if rng.random() < 0.3 else gloss for gloss in reference]
            hypothesis = [gloss for gloss in hypothesis for _ in range(rng.choice([0, 1, 1, 1, 2]))]
        references.append([GLOSSES[gloss] for gloss in reference])
        hypotheses.append([GLOSSES[gloss] for gloss in hypothesis])
    return references, hypotheses


@pytest.mark.parametrize("scoring", ["unit_costs", "sclite"])
@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("ABC", "ABC", (3, 0, 0, 0)),
        ("ABC", "AXC", (2, 1, 0, 0)),
        ("ABC", "AC", (2, 0, 1, 0)),
        ("ABC", "ABXC", (3, 0, 0, 1)),
        ("ABC", "", (0, 0, 3, 0)),
        ("", "AB", (0, 0, 0, 2)),
        ("", "", (0, 0, 0, 0)),
        ("A", "a", (0, 1, 0, 0)),
    ],
)
def test_counts_where_both_scorings_agree(scoring: str, reference: str, hypothesis: str, expected: tuple[int, ...]):
    assert counts(reference, hypothesis, scoring) == expected


def test_sclite_pays_for_hits():
    """Hits on X and Y cost it three deletions and three insertions (18); five substitutions cost more (20)."""
    assert counts("ABCXY", "XYDEF", "sclite") == (2, 0, 3, 3)
    assert counts("ABCXY", "XYDEF", "unit_costs") == (0, 5, 0, 0)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("ABX", "XCD", (0, 3, 0, 0)),  # or X hit, two deletions, two insertions: 12 either way
        ("ABXC", "XDEC", (1, 3, 0, 0)),
        ("CABX", "CXDE", (1, 3, 0, 0)),
    ],
)
def test_sclite_keeps_pairs_where_costs_are_equal(reference: str, hypothesis: str, expected: tuple[int, ...]):
    """As sclite itself has it, of these very sentences."""
    assert counts(reference, hypothesis, "sclite") == expected


@pytest.mark.parametrize(("scoring", "costs"), [("unit_costs", (1, 1, 1)), ("sclite", (4, 3, 3))])
def test_no_alignment_costs_less(scoring: str, costs: tuple[int, int, int]):
    def cheapest(reference: list[str], hypothesis: list[str]) -> int:
        """Of all choices of glosses to pair, in order; what is left is deleted or inserted."""
        found = []
        for pairs in range(min(len(reference), len(hypothesis)) + 1):
            rest = (len(reference) - pairs) * costs[1] + (len(hypothesis) - pairs) * costs[2]
            for signed in itertools.combinations(reference, pairs):
                for recognised in itertools.combinations(hypothesis, pairs):
                    wrong = sum(first != second for first, second in zip(signed, recognised, strict=True))
                    found.append(rest + wrong * costs[0])
        return min(found)

    references, hypotheses = sentence_pairs(60, num_glosses=3)
    references, hypotheses = ([sentence[:5] for sentence in group] for group in (references, hypotheses))
    for reference, hypothesis, alignment in zip(
        references, hypotheses, align_sentences(references, hypotheses, scoring), strict=True
    ):
        found = [alignment.count(outcome) for outcome in OUTCOMES[1:]]
        assert int(np.dot(found, costs)) == cheapest(reference, hypothesis)
        assert [step.reference for step in alignment.steps if step.reference is not None] == reference
        assert [step.hypothesis for step in alignment.steps if step.hypothesis is not None] == hypothesis
        for step in alignment.steps:
            assert (step.outcome == "hit") == (step.reference == step.hypothesis)


def test_unit_costs_are_those_of_jiwer_over_all_clips():
    references, hypotheses = sentence_pairs(300)
    expected = jiwer.process_words([" ".join(s) for s in references], [" ".join(s) for s in hypotheses])
    found = word_error_rate(align_sentences(references, hypotheses))
    assert found["wer"] == pytest.approx(expected.wer)
    assert found["error_types"] == {
        "substitutions": expected.substitutions,
        "deletions": expected.deletions,
        "insertions": expected.insertions,
    }
    assert found["total_words"] == sum(map(len, references))


def test_unit_costs_never_count_more_errors_than_sclite():
    references, hypotheses = sentence_pairs(300, num_glosses=4)
    pairs = zip(
        align_sentences([*references, list("ABCXY")], [*hypotheses, list("XYDEF")]),
        align_sentences([*references, list("ABCXY")], [*hypotheses, list("XYDEF")], "sclite"),
        strict=True,
    )
    differences = [sclite.errors - unit.errors for unit, sclite in pairs]
    assert min(differences) == 0
    assert differences[-1] == 1


def test_gloss_with_white_space_is_one_gloss():
    (alignment,) = align_sentences([["THANK YOU", "YOU"]], [["THANK", "YOU"]])
    assert alignment.steps == (Step("substitution", "THANK YOU", "THANK"), Step("hit", "YOU", "YOU"))


def test_rate_is_pooled_over_clips():
    alignments = align_sentences([list("ABCD"), ["A"], []], [list("ABCX"), ["B"], ["C"]])
    assert word_error_rate(alignments) == {
        "wer": pytest.approx(3 / 5),
        "accuracy": pytest.approx(2 / 5),
        "total_errors": 3,
        "total_words": 5,
        "error_types": {"substitutions": 2, "deletions": 0, "insertions": 1},
    }


def test_more_errors_than_glosses_make_a_negative_accuracy():
    found = word_error_rate(align_sentences([["A"]], [["B", "C", "D"]]))
    assert (found["wer"], found["accuracy"]) == (3.0, -2.0)


@pytest.mark.parametrize(("hypothesis", "wer", "accuracy"), [([], 0.0, 1.0), (["A"], None, None)])
def test_rate_without_any_signed_gloss(hypothesis: list[str], wer: float | None, accuracy: float | None):
    found = word_error_rate(align_sentences([[]], [hypothesis]))
    assert (found["wer"], found["accuracy"], found["total_errors"]) == (wer, accuracy, len(hypothesis))


def test_alignment_reads_in_columns():
    (alignment,) = align_sentences([["JOHN", "BUY", "HOUSE"]], [["JOHN", "HOUSE", "IX"]], "sclite")
    assert alignment.text().splitlines() == [
        "reference  JOHN BUY HOUSE *",
        "hypothesis JOHN *   HOUSE IX",
        "                D         I",
    ]


def test_metrics_have_both_scorings_by_name_with_intervals():
    references, hypotheses = sentence_pairs(80, num_glosses=4)
    signers = [f"s{number % 8}" for number in range(80)]
    metrics = error_rate_metrics(references, hypotheses, signers, bootstrap_samples=500)
    assert set(metrics) == {"word_error_rate", "word_error_rate_sclite"}
    for name, scoring in (("word_error_rate", "unit_costs"), ("word_error_rate_sclite", "sclite")):
        expected = word_error_rate(align_sentences(references, hypotheses, scoring))
        assert {key: metrics[name][key] for key in expected} == expected
        assert metrics[name]["scoring"] == scoring
        low, high = metrics[name]["interval"]
        assert low < metrics[name]["wer"] < high
        assert metrics[name]["interval_over"] == "signers"
    by_clip = error_rate_metrics(references, hypotheses, [""] * 80, bootstrap_samples=500)
    assert by_clip["word_error_rate"]["interval_over"] == "clips"


def test_metrics_without_signed_glosses_have_no_interval():
    metrics = error_rate_metrics([[], []], [["A"], []], ["anna", "ben"], bootstrap_samples=100)
    assert metrics["word_error_rate"]["interval"] is None


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="1 references and 2 hypotheses"):
        align_sentences([["A"]], [["A"], ["B"]])
    with pytest.raises(ValueError, match="0 references"):
        error_rate_metrics([], [], [], bootstrap_samples=100)


def test_interval_of_a_ratio_weighs_clips_by_their_glosses():
    """Resampled clip by clip: the ratio of sums, not the mean of ratios."""
    rng = np.random.default_rng(0)
    words = rng.integers(1, 20, 100)
    errors = rng.binomial(words, 0.3)
    drawn = rng.integers(0, 100, (4000, 100))
    low, high = np.percentile(errors[drawn].sum(axis=1) / words[drawn].sum(axis=1), [2.5, 97.5])
    interval, over = ratio_interval(errors, words, [""] * 100, 4000)
    assert interval == pytest.approx((low, high), abs=0.006)
    assert over == "clips"


def test_interval_leaves_out_resamples_without_glosses():
    (low, high), _ = ratio_interval(np.array([1, 2]), np.array([4, 0]), ["anna", "ben"], 200)
    assert 0 <= low <= 3 / 4 <= high < np.inf


@pytest.mark.slow
@pytest.mark.skipif(not SCLITE.exists(), reason=f"no {SCLITE}; on Debian: apt-get install sctk")
@pytest.mark.parametrize("num_glosses", [2, 4, len(GLOSSES)])
def test_counts_are_those_of_sclite(tmp_path: Path, num_glosses: int):
    references, hypotheses = sentence_pairs(500, num_glosses)
    for name, sentences in (("ref.trn", references), ("hyp.trn", hypotheses)):
        # Percent-encoding leaves nothing that sclite takes for more than a word; -s keeps capitals apart.
        lines = [
            f"{' '.join(urllib.parse.quote(gloss, safe='') for gloss in sentence)} (clip-{number:03})"
            for number, sentence in enumerate(sentences)
        ]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    command = [
        SCLITE,
        "-s",
        "-i",
        "spu_id",
        "-r",
        "ref.trn",
        "trn",
        "-h",
        "hyp.trn",
        "trn",
        "-o",
        "pralign",
        "stdout",
    ]
    report = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    expected = {
        int(number): tuple(map(int, found.split()))
        for number, found in re.findall(r"id: \(clip-(\d+)\)\nScores: \(#C #S #D #I\) ([\d ]+)", report)
    }
    alignments = align_sentences(references, hypotheses, "sclite")
    found = {
        number: tuple(alignment.count(outcome) for outcome in OUTCOMES)
        for number, alignment in enumerate(alignments)
    }
    assert len(expected) == 500
    assert found == expected
