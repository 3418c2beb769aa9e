"""``python -m sign_keras.evaluate``: how well a run, SavedModel or .tflite reads the clips of one split."""

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

from sign_keras.config import EvaluateConfig, ViewsConfig
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.clips import SPLITS, ClipSpec
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import validate

if TYPE_CHECKING:  # they load TensorFlow, which a command does only once its arguments make sense
    from sign_keras.data.dataset import Records
    from sign_keras.data.draws import Draw
    from sign_keras.metrics import Predictions
    from sign_keras.run import Run

EXAMPLE = """example:
  python -m sign_keras.evaluate --model runs/my_signs --records data/my_signs
  python -m sign_keras.evaluate --model tflite/my_signs.tflite --records data/my_signs --crops 5 --offsets 3

writes metrics.json, predictions.csv, confusion_matrix.png and report.html: into the run's own directory where
records, split and views are those of its own test, else into ./evaluation/MODEL-RECORDS-SPLIT[-VIEWS].
"""
BATCH_SIZE = 16
ONE_VIEW = ViewsConfig()


class Recogniser(Protocol):
    """What evaluation needs of an artefact."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def label_map(self) -> LabelMap:
        """Of its V logits."""

    @property
    def clip_spec(self) -> ClipSpec:
        """How its clips are made, sampling included."""

    def logits(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """``[B, V]`` float32 of a batch of inputs."""


def evaluate(
    artefact: Recogniser,
    records: "Records",
    split: str,
    output: Path,
    *,
    bootstrap_samples: int,
    views: ViewsConfig = ONE_VIEW,
    run: "Run | None" = None,
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
        batch_size: clips a step; changes speed alone.

    Returns:
        The content of ``metrics.json``.

    Raises:
        UserError: see ``evaluate_artefact``.
    """
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
    write_evaluation(output, predictions, artefact.label_map, metrics, name=artefact.name, records=records, run=run)
    return metrics


def evaluate_artefact(
    artefact: Recogniser,
    records: "Records",
    split: str,
    batch_size: int = BATCH_SIZE,
    views: ViewsConfig = ONE_VIEW,
) -> "Predictions":
    """Lets an artefact predict every clip of a split.

    Returns:
        Each clip once, whatever the number of its views. Labels are ids in the artefact's label map: glosses are
        matched by name, whatever their order. Logits are the model's own for one view, else logarithms of the
        probabilities' mean.

    Raises:
        UserError: the clips were not made as the artefact wants them, it lacks one of their glosses, a record is
            damaged, or the model returns numbers that are not finite.
    """
    from sign_keras.data.compatibility import check_clip_spec, matched_ids
    from sign_keras.data.views import make_views

    check_clip_spec(artefact.clip_spec, records)
    own_ids = matched_ids(artefact.label_map, records, split)
    drawn = make_views(views, records.sampling.num_frames)
    total = records.num_clips(split) * len(drawn)
    with tqdm(total=total, desc="evaluating", unit="clip", disable=None) as bar:
        first = _evaluate_view(artefact, records, split, batch_size, drawn[0], own_ids, bar)
        if len(drawn) == 1:
            return first
        probabilities = first.probabilities
        for view in drawn[1:]:
            probabilities += _evaluate_view(artefact, records, split, batch_size, view, own_ids, bar).probabilities
    # Where float64 rounds a probability to zero, its logarithm must stay finite.
    mean = np.maximum(probabilities / len(drawn), np.finfo(np.float64).tiny)
    return dataclasses.replace(first, logits=np.log(mean).astype(np.float32))


def _evaluate_view(
    artefact: Recogniser,
    records: "Records",
    split: str,
    batch_size: int,
    view: "Draw | None",
    own_ids: dict[int, int],
    bar: tqdm,
) -> "Predictions":
    from sign_keras.data.compatibility import matched_id
    from sign_keras.metrics import Predictions

    logits: list[np.ndarray] = []
    labels: list[int] = []
    names: dict[str, list[str]] = {"media_id": [], "path": [], "signer": []}
    for inputs, label, metadata in _batches(records, split, batch_size, view):
        for name, values in names.items():
            values += [text.decode("utf-8", "replace") for text in metadata[name]]
        batch = artefact.logits(inputs)
        if not np.isfinite(batch).all():
            first = names["media_id"][len(labels) + int(np.argmin(np.isfinite(batch).all(axis=1)))]
            raise UserError(f"{first}: the model's logits are not finite; it cannot be evaluated")
        logits.append(batch)
        labels += [matched_id(own_ids, index, records) for index in label.tolist()]
        bar.update(len(label))
    return Predictions(
        np.concatenate(logits).astype(np.float32),
        np.array(labels, np.int64),
        names["media_id"],
        names["path"],
        names["signer"],
    )


def _batches(
    records: "Records", split: str, batch_size: int, view: "Draw | None"
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]]:
    import tensorflow as tf

    batches = records.evaluation_batches(split, batch_size, view).as_numpy_iterator()
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            cause = (error.message or type(error).__name__).split("\n")[0].split("}} ")[-1].split(" [Op:")[0]
            raise UserError(
                f"{records.directory}: a record of split {split!r} cannot be used ({cause}); to find it: "
                f"python -m tfrecords_tools.inspect {records.directory}"
            ) from None
        yield batch


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
    """The headline numbers, in two lines; and a third about views where there are several."""
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
    )


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.evaluate",
        description="Tests a recogniser on the clips of one split and writes a report that opens in a browser.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PATH", help="run directory, SavedModel or .tflite file"
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
        raise UserError(f"{arguments.model}: no such run, SavedModel or .tflite file")
    info = DatasetInfo.load(arguments.records)  # before TensorFlow: a misspelt folder is told at once
    quiet_tensorflow()
    from sign_keras.data.dataset import Records
    from sign_keras.inference.artefact import load_artefact
    from sign_keras.run import CONFIG_NAME, REPORT_NAME, Run

    artefact = load_artefact(arguments.model)
    run = Run.load(arguments.model) if (arguments.model / CONFIG_NAME).is_file() else None
    records = Records.open(arguments.records, artefact.sampling, artefact.input_names)
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
        batch_size=arguments.batch_size,
    )
    print(format_summary(metrics))
    print(f"report: {output / REPORT_NAME}")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
