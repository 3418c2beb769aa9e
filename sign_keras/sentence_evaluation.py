"""The test of a recogniser of sentences: what ``sign_keras.evaluate`` does with one."""

from pathlib import Path
from typing import Any

from sign_keras.data.dataset import Records
from sign_keras.decoding import Decoder
from sign_keras.reporting.sentences import write_sentence_evaluation
from sign_keras.run import Run
from sign_keras.scoring import BATCH_SIZE, Recogniser
from sign_keras.sentence_metrics import sentence_metrics
from sign_keras.sentence_scoring import read_sentences, sentence_logits


def evaluate_sentences(
    artefact: Recogniser,
    records: Records,
    split: str,
    output: Path,
    *,
    bootstrap_samples: int,
    run: Run | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Any]:
    """Tests an artefact on one split and writes the metrics and the report.

    Args:
        artefact: what to test.
        records: opened with the artefact's sampling, inputs and task.
        split: which clips.
        output: folder to write to; made if missing.
        bootstrap_samples: resamplings behind the intervals.
        run: the training that the artefact comes from, where known.
        batch_size: clips a step; changes speed alone.

    Returns:
        The content of ``metrics.json``.

    Raises:
        UserError: see ``sentence_logits``.
    """
    clips, how = sentence_logits(artefact, records, split, batch_size), artefact.sentence_decoding
    read = read_sentences(clips, Decoder(how, artefact.label_map.glosses), artefact.label_map)
    metrics = sentence_metrics(read, artefact.label_map, split=split, bootstrap_samples=bootstrap_samples)
    metrics["decoding"] = how.model_dump(mode="json", exclude={"language_model"}) | {
        "language_model": how.language_model is not None
    }
    write_sentence_evaluation(output, read, metrics, name=artefact.name, records=records, run=run)
    return metrics


def format_sentence_summary(metrics: dict[str, Any]) -> str:
    """The headline numbers of sentences, in a few lines."""
    rate, sclite, stage = (
        metrics["word_error_rate"],
        metrics["word_error_rate_sclite"],
        metrics["stage_metrics"]["stage4"],
    )
    signers = metrics["signers"]
    people = f"{signers} signer{'' if signers == 1 else 's'}" if signers else "signers not known"
    types = ", ".join(f"{count} {name}" for name, count in rate["error_types"].items())
    lines = [
        f"{metrics['split']}: {metrics['clips']} sentences of {rate['total_words']} glosses, {people}",
        f"{describe_rate(rate)}; {types}; sclite's scoring {_number(sclite['wer'])}",
        f"whole sentences right {100 * stage['sequence_accuracy']:.1f} %, blank in "
        f"{100 * stage['blank_usage']:.1f} % of frames",
    ]
    if selection := metrics["stage_metrics"].get("stage2"):
        area, plain = selection["motion_roc_auc"], selection["frame_difference_roc_auc"]
        found = (
            ""
            if area is None or plain is None
            else f"; moving frames found: ROC AUC {area:.3f}, by pixels {plain:.3f}"
        )
        lines.append(f"frames kept: {100 * selection['keyframe_ratio']:.1f} %{found}")
    if metrics["glosses_not_in_label_map"]:
        lines.append(f"glosses that the model does not have: {', '.join(metrics['glosses_not_in_label_map'])}")
    if metrics["clips_cut"]:
        lines.append(
            f"{metrics['clips_cut']} sentence(s) longer than sampling.num_frames: the model saw their middle alone"
        )
    return "\n".join(lines)


def describe_rate(rate: dict[str, Any]) -> str:
    """A word error rate and its interval."""
    interval = rate["interval"]
    around = (
        f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f}, over {rate['interval_over']})" if interval else ""
    )
    return f"WER {_number(rate['wer'])}{around}"


def _number(rate: float | None) -> str:
    return "not defined (no gloss was signed)" if rate is None else f"{rate:.3f}"
