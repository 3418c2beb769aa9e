"""How far recognised sentences are from the signed ones: word error rate (WER) of glosses, by two scorings.

Both lay the recognised glosses along the reference with the fewest errors, ``WER = (S + D + I) / N`` for S
substituted, D left out (deletions), I put in (insertions), and N glosses of the reference. They differ in what
"fewest" means:

- ``unit_costs``: every error costs 1 (Levenshtein distance; by jiwer). What papers mostly mean by WER. Where
  several alignments have equally few errors, another library may take another, and split the same sum otherwise.
- ``sclite``: a substitution costs 4, a deletion and an insertion 3 each, as in NIST's scoring program sclite, with
  which RWTH-PHOENIX-Weather is scored. It has more hits where substitutions would be slightly fewer errors, so its
  WER is never below the other.

Sums are over all clips: long sentences count more than short ones. WER is above 1 where more is put in than is
right; ``accuracy = 1 - WER`` is then below 0, and nothing is cut off. Glosses are compared as they are: ``HOUSE``
is not ``house``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jiwer
import numpy as np

from sign_keras.bootstrap import ratio_interval

Scoring = Literal["unit_costs", "sclite"]
Outcome = Literal["hit", "substitution", "deletion", "insertion"]

_MARKS = {"hit": "", "substitution": "S", "deletion": "D", "insertion": "I"}
SUBSTITUTION_COST, DELETION_COST, INSERTION_COST = 4, 3, 3  # sclite's


@dataclass(frozen=True)
class Step:
    """One place of an alignment.

    Attributes:
        outcome: what became of it.
        reference: the signed gloss; None for an insertion.
        hypothesis: the recognised gloss; None for a deletion.
    """

    outcome: Outcome
    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True)
class Alignment:
    """A clip's signed and recognised glosses side by side.

    Attributes:
        steps: in temporal order; none where both sentences are empty.
    """

    steps: tuple[Step, ...]

    def count(self, outcome: Outcome) -> int:
        """How many steps turned out so."""
        return sum(step.outcome == outcome for step in self.steps)

    @property
    def errors(self) -> int:
        """S + D + I."""
        return sum(step.outcome != "hit" for step in self.steps)

    @property
    def words(self) -> int:
        """N, glosses of the reference."""
        return sum(step.reference is not None for step in self.steps)

    def text(self) -> str:
        """Three lines in columns: reference, hypothesis, and S, D or I below what is wrong."""
        rows = [("reference", "hypothesis", "")]
        rows += [
            (
                step.reference or "*",
                step.hypothesis or "*",
                _MARKS[step.outcome],
            )
            for step in self.steps
        ]
        widths = [max(map(len, row)) for row in rows]
        return "\n".join(
            " ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in zip(*rows, strict=True)
        )


def align_sentences(
    references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]], scoring: Scoring = "unit_costs"
) -> list[Alignment]:
    """The alignment of each clip; sentences may be empty.

    Args:
        references: the signed glosses of each clip.
        hypotheses: the recognised ones.
        scoring: see the module's text.

    Raises:
        ValueError: there are not as many of each.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses; expected as many of each")
    find_steps = _sclite_steps if scoring == "sclite" else _unit_cost_steps
    return [
        Alignment(tuple(find_steps(reference, hypothesis)))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]


def word_error_rate(alignments: Sequence[Alignment]) -> dict[str, Any]:
    """WER over all clips, as ``metrics.json`` has it.

    Returns:
        ``wer``, ``accuracy``, ``total_errors``, ``total_words`` (of the references) and ``error_types`` with
        ``substitutions``, ``deletions``, ``insertions``. Where no reference has a gloss, ``wer`` is 0 if nothing
        was recognised either, else None, as there is nothing to divide by.
    """
    errors = sum(alignment.errors for alignment in alignments)
    words = sum(alignment.words for alignment in alignments)
    rate = errors / words if words else 0.0 if not errors else None
    return {
        "wer": rate,
        "accuracy": None if rate is None else 1 - rate,
        "total_errors": errors,
        "total_words": words,
        "error_types": {
            "substitutions": sum(alignment.count("substitution") for alignment in alignments),
            "deletions": sum(alignment.count("deletion") for alignment in alignments),
            "insertions": sum(alignment.count("insertion") for alignment in alignments),
        },
    }


def error_rate_metrics(
    references: Sequence[Sequence[str]],
    hypotheses: Sequence[Sequence[str]],
    signers: Sequence[str],
    *,
    bootstrap_samples: int,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """The part of ``metrics.json`` about error rates: ``word_error_rate`` and ``word_error_rate_sclite``.

    Each is what ``word_error_rate`` returns, with its ``scoring``, ``interval`` (95 %) and ``interval_over``
    (``signers`` or ``clips``), as ``bootstrap.ratio_interval`` has them; None where there is no rate.

    Args:
        references: the signed glosses of each clip.
        hypotheses: the recognised ones.
        signers: who signs each clip; empty where not known.
        bootstrap_samples: resamplings behind the intervals.
        seed: of the resampling.

    Raises:
        ValueError: there are no clips, or not as many of each.
    """
    if not len(references) == len(hypotheses) == len(signers) or not len(references):
        raise ValueError(
            f"{len(references)} references, {len(hypotheses)} hypotheses and {len(signers)} signers; expected as "
            "many of each, and some"
        )
    scorings: dict[str, Scoring] = {"word_error_rate": "unit_costs", "word_error_rate_sclite": "sclite"}
    metrics = {}
    for name, scoring in scorings.items():
        alignments = align_sentences(references, hypotheses, scoring)
        metrics[name] = {"scoring": scoring, **word_error_rate(alignments), "interval": None, "interval_over": None}
        if metrics[name]["total_words"]:
            errors = np.array([alignment.errors for alignment in alignments])
            words = np.array([alignment.words for alignment in alignments])
            interval, over = ratio_interval(errors, words, signers, bootstrap_samples, seed)
            metrics[name] |= {"interval": list(interval), "interval_over": over}
    return metrics


def _unit_cost_steps(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    # Numbers in place of glosses: jiwer splits text at white space, which a gloss may hold.
    numbers = {gloss: str(number) for number, gloss in enumerate(dict.fromkeys([*reference, *hypothesis]))}
    text, recognised_text = (" ".join(map(numbers.__getitem__, sentence)) for sentence in (reference, hypothesis))
    steps: list[Step] = []
    for chunk in jiwer.process_words(text, recognised_text).alignments[0]:
        signed = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        recognised = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "delete":
            steps += [Step("deletion", gloss, None) for gloss in signed]
        elif chunk.type == "insert":
            steps += [Step("insertion", None, gloss) for gloss in recognised]
        else:
            outcome: Outcome = "hit" if chunk.type == "equal" else "substitution"
            steps += [Step(outcome, *pair) for pair in zip(signed, recognised, strict=True)]
    return steps


def _sclite_steps(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """Of alignments that cost the same, sclite's: from the end back, a pair is preferred, then an insertion.

    Source: ``calculate_internal_cells`` in ``net_dp.c`` and ``wwd_WORD`` in ``word.c`` of NIST's SCTK, whose
    alternatives, nulls (``@``) and optional words do not occur here.
    """
    costs = np.zeros((len(reference) + 1, len(hypothesis) + 1), np.int64)
    costs[:, 0] = DELETION_COST * np.arange(len(reference) + 1)
    costs[0] = INSERTION_COST * np.arange(len(hypothesis) + 1)
    cells = costs.tolist()
    for row, signed in enumerate(reference, start=1):
        for column, recognised in enumerate(hypothesis, start=1):
            cells[row][column] = min(
                cells[row - 1][column - 1] + SUBSTITUTION_COST * (signed != recognised),
                cells[row - 1][column] + DELETION_COST,
                cells[row][column - 1] + INSERTION_COST,
            )
    steps: list[Step] = []
    row, column = len(reference), len(hypothesis)
    while row or column:
        same = row > 0 and column > 0 and reference[row - 1] == hypothesis[column - 1]
        pair = cells[row - 1][column - 1] + SUBSTITUTION_COST * (not same)
        if row and column and cells[row][column] == pair:
            row, column = row - 1, column - 1
            steps.append(Step("hit" if same else "substitution", reference[row], hypothesis[column]))
        elif column and cells[row][column] == cells[row][column - 1] + INSERTION_COST:
            column -= 1
            steps.append(Step("insertion", None, hypothesis[column]))
        else:
            row -= 1
            steps.append(Step("deletion", reference[row], None))
    return steps[::-1]
