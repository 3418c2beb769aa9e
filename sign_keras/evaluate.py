"""``python -m sign_keras.evaluate``: how well a run, SavedModel, .tflite or .onnx reads the clips of one split."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sign_keras.confidence import SIGN_THRESHOLD
from sign_keras.config import EvaluateConfig, NoSignConfig, ViewsConfig
from sign_keras.quiet import quiet_tensorflow
from sign_keras.scoring import (
    BATCH_SIZE,
    NO_LABEL,
    ONE_VIEW,
    Recogniser,
    evaluate_artefact,
    made_up_non_signs,
    unknown_signs,
)
from tfrecords_tools.clips import SPLITS
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.settings import validate

if TYPE_CHECKING:  # they load TensorFlow, which a command does only once its arguments make sense
    from sign_keras.data.dataset import Records
    from sign_keras.metrics import Predictions
    from sign_keras.run import Run

EXAMPLE = """example:
  python -m sign_keras.evaluate --model runs/my_signs --records data/my_signs
  python -m sign_keras.evaluate --model tflite/my_signs.tflite --records data/my_signs --crops 5 --offsets 3

writes metrics.json, predictions.csv, report.html and, of isolated signs, confusion_matrix.png: into the run's own
directory where records, split and views are those of its own test, else into
./evaluation/MODEL-RECORDS-SPLIT[-VIEWS].
"""
BEFORE = "expected_calibration_error_before"


def evaluate(
    artefact: Recogniser,
    records: "Records",
    split: str,
    output: Path,
    *,
    bootstrap_samples: int,
    views: ViewsConfig = ONE_VIEW,
    run: "Run | None" = None,
    unknown_records: Path | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Any]:
    """Tests an artefact on one split and writes the metrics and the report.

    Args:
        artefact: what to test.
        records: opened with the artefact's sampling and inputs.
        split: which clips.
        output: folder to write to; made if missing.
        bootstrap_samples: resamplings behind the interval.
        views: what each clip's answer is averaged over.
        run: the training that the artefact comes from, where known.
        unknown_records: other records: which of their signs, unknown to the artefact, are taken for one of its.
        batch_size: clips a step; changes speed alone.

    Returns:
        The content of ``metrics.json``.

    Raises:
        UserError: see ``evaluate_artefact`` and ``sentence_logits``.
    """
    if artefact.task == "continuous":
        from sign_keras.sentence_evaluation import evaluate_sentences

        return evaluate_sentences(
            artefact, records, split, output, bootstrap_samples=bootstrap_samples, run=run, batch_size=batch_size
        )
    from sign_keras.metrics import isolated_metrics
    from sign_keras.reporting import write_evaluation

    predictions = evaluate_artefact(artefact, records, split, batch_size, views)
    metrics = isolated_metrics(
        predictions.logits,
        predictions.labels,
        predictions.signers,
        artefact.label_map,
        split=split,
        bootstrap_samples=bootstrap_samples,
    ) | {"views": views.model_dump()}
    metrics |= confidence_metrics(
        artefact, records, split, predictions, run=run, unknown_records=unknown_records, batch_size=batch_size
    )
    write_evaluation(output, predictions, artefact.label_map, metrics, name=artefact.name, records=records, run=run)
    return metrics


def confidence_metrics(
    artefact: Recogniser,
    records: "Records",
    split: str,
    predictions: "Predictions",
    *,
    run: "Run | None" = None,
    unknown_records: Path | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Any]:
    """The parts of ``metrics.json`` on how far answers can be believed: ``calibration`` and ``acceptance``.

    ``acceptance`` is there where the artefact can say that there is no sign, or ``unknown_records`` are given. Its
    false alarms are those of clips without a sign: ``recorded``, ``made_up`` from the split's, ``unknown_signs``.
    Arguments are those of ``evaluate``, and what ``evaluate_artefact`` gave.
    """
    from sign_keras.calibration import acceptance_metrics, calibration_metrics, sign_scores

    no_sign = None if artefact.no_sign is None else artefact.label_map.id(artefact.no_sign)
    is_sign = predictions.labels != (NO_LABEL if no_sign is None else no_sign)
    scores = sign_scores(predictions.probabilities, no_sign)
    non_signs = {"recorded": scores[~is_sign]}
    if (config := no_sign_config(artefact, run)) and config.made_up_share(records.label_map.glosses):
        made_up = made_up_non_signs(artefact, records, split, config, batch_size)
        non_signs["made_up"] = sign_scores(made_up.probabilities, no_sign)
    if unknown_records is not None:
        unknown = unknown_signs(artefact, unknown_records, records, split, batch_size)
        non_signs["unknown_signs"] = sign_scores(unknown.probabilities, no_sign)
    calibration = calibration_metrics(predictions.logits, predictions.labels, predictions.temperature)
    if predictions.temperature != artefact.temperature:  # it is in the mean over views: there is no "before"
        calibration = {name: value for name, value in calibration.items() if not name.endswith("_before")}
    found: dict[str, Any] = {"calibration": calibration | {"temperature": artefact.temperature}}
    threshold = artefact.thresholds.get(SIGN_THRESHOLD)
    if is_sign.any() and (threshold is not None or no_sign is not None or unknown_records is not None):
        right = predictions.predicted == predictions.labels
        found["acceptance"] = acceptance_metrics(scores[is_sign], right[is_sign], threshold, non_signs)
    return found


def no_sign_config(artefact: Recogniser, run: "Run | None") -> NoSignConfig | None:
    """How non-signs are made up for an artefact: as its training did, where that is known."""
    if run is not None:
        return run.config.data.no_sign
    return None if artefact.no_sign is None else NoSignConfig(gloss=artefact.no_sign)


def default_output(
    model: Path, records: Path, split: str, info: DatasetInfo, run: "Run | None", views: ViewsConfig = ONE_VIEW
) -> Path:
    """The run's own directory where this is its own test; else a folder named after all of it."""
    if run is not None and run.info == info:
        own = run.config.evaluate
        if (own.split, own.views) == (split, views):
            return run.directory
    model = model.resolve()
    name = f"{model.name if model.is_dir() else model.stem}-{records.resolve().name}-{split}"
    if views != ONE_VIEW:
        name += f"-{views.crops}_crops-{views.offsets}_offsets" + ("-mirror" if views.mirror else "")
    return Path("evaluation") / name


def format_summary(metrics: dict[str, Any]) -> str:
    """The headline numbers, in two lines; then one about views where there are several, and about confidence."""
    if "word_error_rate" in metrics:
        from sign_keras.sentence_evaluation import format_sentence_summary

        return format_sentence_summary(metrics)
    low, high = (100 * bound for bound in metrics["top1_interval"])
    signers = metrics["signers"]
    people = f"{signers} signer{'' if signers == 1 else 's'}" if signers else "signers not known"
    views = metrics["views"]
    averaged = (
        f"\naveraged over views: {views['crops']} crop(s), {views['offsets']} offset(s)"
        + (", each also mirrored" if views["mirror"] else "")
        if views != ONE_VIEW.model_dump()
        else ""
    )
    return (
        f"{metrics['split']}: {metrics['clips']} clips, {people}\n"
        f"top-1 {100 * metrics['top1']:.1f} % (95 % interval {low:.1f} to {high:.1f}, over "
        f"{metrics['interval_over']}), top-5 {100 * metrics['top5']:.1f} %, macro F1 "
        f"{metrics['macro_f1']:.3f}, chance {100 * metrics['chance']:.1f} %{averaged}"
        + "".join(f"\n{line}" for line in confidence_summary(metrics))
    )


def confidence_summary(metrics: dict[str, Any]) -> list[str]:
    """Lines on calibration and acceptance, for metrics that have them."""
    lines = []
    if calibration := metrics.get("calibration"):
        lines.append(
            f"calibration error {100 * calibration['expected_calibration_error']:.1f} % at temperature "
            f"{calibration['temperature']:.2f}"
            + (f" ({100 * before:.1f} % without)" if (before := calibration.get(BEFORE)) is not None else "")
        )
    if acceptance := metrics.get("acceptance"):
        alarms = ", ".join(
            f"{100 * found['rate']:.1f} % of {found['clips']} {name.replace('_', ' ')}"
            for name, found in acceptance["false_alarms"].items()
        )
        lines.append(
            f"accepted as signs: {100 * acceptance['signs_accepted']:.1f} % of signs"
            + (f"; false alarms: {alarms}" if alarms else "")
        )
    return lines


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.evaluate",
        description="Tests a recogniser on the clips of one split and writes a report that opens in a browser.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PATH", help="run, SavedModel, .tflite or .onnx"
    )
    parser.add_argument("--records", type=Path, required=True, metavar="DIR", help="folder written by convert")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which clips (default: test)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results (default: see below)")
    views = parser.add_argument_group(
        "views", "probabilities averaged over; by default what a run's own configuration says, else one view"
    )
    views.add_argument("--crops", type=int, choices=(1, 3, 5), help="whole window; left and right; corners")
    views.add_argument("--offsets", type=int, metavar="N", help="moments within each frame's part of the clip")
    views.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="each view also mirrored; only where that leaves a sign what it is",
    )
    parser.add_argument(
        "--unknown", type=Path, metavar="DIR", help="records of other signs: how many are taken for one it knows?"
    )
    parser.add_argument(
        "--batch-size", type=int, default=BATCH_SIZE, metavar="N", help=f"clips a step (default {BATCH_SIZE})"
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: must be at least 1")
    chosen_views = {
        name: getattr(arguments, name) for name in ViewsConfig.model_fields if getattr(arguments, name) is not None
    }
    validate(ViewsConfig, chosen_views, "--crops, --offsets, --mirror")
    if not arguments.model.exists():
        raise UserError(f"{arguments.model}: no such run, SavedModel, .tflite or .onnx file")
    info = DatasetInfo.load(arguments.records)  # before TensorFlow: a misspelt folder is told at once
    quiet_tensorflow(run_half_op=True)
    from sign_keras.data.dataset import Records
    from sign_keras.inference.loading import load_artefact
    from sign_keras.run import CONFIG_NAME, REPORT_NAME, Run

    artefact = load_artefact(arguments.model)
    run = Run.load(arguments.model) if (arguments.model / CONFIG_NAME).is_file() else None
    if artefact.task == "continuous" and (chosen_views or arguments.unknown):
        raise UserError(
            f"--crops, --offsets, --mirror, --unknown: are of models of one sign; {artefact.name} reads sentences"
        )
    records = Records.open(
        arguments.records, artefact.sampling, artefact.input_names, artefact.task, artefact.frames_per_logit
    )
    config = run.config.evaluate if run else EvaluateConfig()
    views = config.views.model_copy(update=chosen_views)
    output = arguments.output or default_output(
        arguments.model, arguments.records, arguments.split, info, run, views
    )
    metrics = evaluate(
        artefact,
        records,
        arguments.split,
        output,
        bootstrap_samples=config.bootstrap_samples,
        views=views,
        run=run,
        unknown_records=arguments.unknown or config.unknown_records,
        batch_size=arguments.batch_size,
    )
    print(format_summary(metrics))
    print(f"report: {output / REPORT_NAME}")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
