"""What an evaluation of sentences leaves behind: ``metrics.json``, ``predictions.csv`` and ``report.html``."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

from sign_keras.data.dataset import Records
from sign_keras.error_rate import Alignment
from sign_keras.reporting import charts, findings
from sign_keras.reporting.templates import render
from sign_keras.run import METRICS_NAME, REPORT_NAME, Run
from sign_keras.sentence_metrics import ReadSentences
from tfrecords_tools.journal import write_atomically

TEMPLATE_NAME = "sentences.html.j2"
PREDICTIONS_NAME = "predictions.csv"
PREDICTIONS_COLUMNS = (
    "media_id",
    "signer",
    "reference",
    "hypothesis",
    "substitutions",
    "deletions",
    "insertions",
    "log_probability",
)
SCORING_NAMES = {
    "unit_costs": "every error costs the same",
    "sclite": "as NIST's sclite: substitution 4, deletion and insertion 3",
}
# Of the stages in front of CTC: what each figure says.
STAGE_FIGURES = {
    "stage1": {
        "mean_similarity": "cosine of a frame and the gloss that it belongs to, mean",
        "std_similarity": "the same, standard deviation",
        "alignment_quality": "frames that look more like their gloss than like any other",
    },
    "stage2": {
        "keyframe_ratio": "frames that are kept",
        "selection_entropy": "entropy of the scores, as a share of the largest",
        "motion_detection_accuracy": "frames that are kept and move, or are dropped and stand still",
        "motion_roc_auc": "how often a moving frame has a better score than a still one",
        "frame_difference_roc_auc": "the same of the plain difference of pixels",
        "moving_ratio": "frames that really move",
    },
    "stage3": {
        "frame_accuracy": "kept frames within signs whose class is the gloss signed",
        "temporal_consistency": "neighbouring frames of the same class",
    },
}
MOST_SENTENCES = 12
MOST_CONFUSIONS = 10


def write_sentence_evaluation(
    output: Path, read: ReadSentences, metrics: dict[str, Any], *, name: str, records: Records, run: Run | None
) -> None:
    """Writes the files.

    Args:
        output: folder; made if missing.
        read: every clip of the split, and what was read out of it.
        metrics: from ``sentence_metrics``.
        name: of the model, for the report's title.
        records: where the clips come from.
        run: the training behind the predictions, where known.
    """
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / METRICS_NAME, json.dumps(metrics, indent=1, ensure_ascii=False))
    write_atomically(output / PREDICTIONS_NAME, _predictions_csv(read))
    page = render_sentences(read, metrics, name=name, records=records, run=run)
    write_atomically(output / REPORT_NAME, page)


def render_sentences(
    read: ReadSentences, metrics: dict[str, Any], *, name: str, records: Records, run: Run | None
) -> str:
    """The page's text; arguments as for ``write_sentence_evaluation``."""
    return render(
        TEMPLATE_NAME,
        name=name,
        metrics=metrics,
        stage=metrics["stage_metrics"]["stage4"],
        stages=stage_rows(metrics["stage_metrics"]),
        people=findings.people(metrics, run),
        rates=[metrics["word_error_rate"], metrics["word_error_rate_sclite"]],
        scoring_names=SCORING_NAMES,
        limits=_limits(metrics, records, run),
        **charts.training_part(run),
        worst=worst_sentences(read)[:MOST_SENTENCES],
        confusions=confused_glosses(read.alignments)[:MOST_CONFUSIONS],
        deleted=_most(metrics, "deleted"),
        inserted=_most(metrics, "inserted"),
        records=records,
    )


def stage_rows(stages: dict[str, dict[str, Any]]) -> list[tuple[str, str, float | None]]:
    """``(stage, what a figure says, figure)`` of the stages in front of CTC, as far as the model has them."""
    return [
        (stage.removeprefix("stage"), meaning, stages[stage][name])
        for stage, figures in STAGE_FIGURES.items()
        if stage in stages
        for name, meaning in figures.items()
    ]


def worst_sentences(read: ReadSentences) -> list[dict[str, Any]]:
    """Clips with errors, most errors a gloss first, and among equals the longer sentence: ``media_id``, ``signer``,
    ``errors``, ``words``, ``steps``.
    """
    wrong = [number for number, alignment in enumerate(read.alignments) if alignment.errors]
    wrong.sort(
        key=lambda number: (
            -read.alignments[number].errors / max(read.alignments[number].words, 1),
            -read.alignments[number].words,
            read.clips.media_ids[number],
        )
    )
    return [
        {
            "media_id": read.clips.media_ids[number],
            "signer": read.clips.signers[number],
            "errors": read.alignments[number].errors,
            "words": read.alignments[number].words,
            "steps": read.alignments[number].steps,
        }
        for number in wrong
    ]


def confused_glosses(alignments: list[Alignment]) -> list[tuple[str, str, int]]:
    """``(signed, recognised, times)`` of substitutions, most frequent first, then by name."""
    steps = [step for alignment in alignments for step in alignment.steps if step.outcome == "substitution"]
    pairs = Counter((step.reference or "", step.hypothesis or "") for step in steps)
    return [(*pair, count) for pair, count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))]


def _most(metrics: dict[str, Any], column: str) -> list[dict[str, Any]]:
    """Glosses with most of an error, the most first."""
    rows = [{"gloss": gloss, **counts} for gloss, counts in metrics["per_gloss"].items() if counts[column]]
    return sorted(rows, key=lambda row: (-row[column], row["gloss"]))[:MOST_CONFUSIONS]


def _limits(metrics: dict[str, Any], records: Records, run: Run | None) -> list[str]:
    found = findings.data_limits(metrics, records.info, run)
    if missing := metrics["glosses_not_in_label_map"]:
        found.append(
            f"{findings.counted(len(missing), 'gloss', 'glosses')} of these sentences the model does not have "
            f"({', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}): each is an error, whatever it says."
        )
    if cut := metrics["clips_cut"]:
        found.append(
            f"{findings.counted(cut, 'clip')} longer than what the model takes: it saw the middle alone, and what "
            "it did not see counts as left out."
        )
    found.append(
        "A word error rate says how well glosses are found, not how well a sentence is understood: face, mouth and "
        "the use of space are in no gloss, and a wrong gloss may be a near synonym or the opposite."
    )
    return found


def _predictions_csv(read: ReadSentences) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PREDICTIONS_COLUMNS)
    clips = read.clips
    for number, alignment in enumerate(read.alignments):
        writer.writerow(
            (
                clips.media_ids[number],
                clips.signers[number],
                " ".join(clips.references[number]),
                " ".join(read.hypotheses[number]),
                *(alignment.count(outcome) for outcome in ("substitution", "deletion", "insertion")),
                f"{read.decodings[number].log_probability:.4f}",
            )
        )
    return text.getvalue()
