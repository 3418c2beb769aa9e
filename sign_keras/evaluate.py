"""``python -m sign_keras.evaluate``: how well a run, SavedModel or .tflite reads the clips of one split."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from tqdm import tqdm

from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.clips import SPLITS, ClipSpec, CropSpec
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import FILE_NAME, DatasetInfo
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import Settings

if TYPE_CHECKING:  # they load TensorFlow, which a command does only once its arguments make sense
    from sign_keras.data.dataset import Records
    from sign_keras.metrics import Predictions
    from sign_keras.run import Run

EXAMPLE = """example:
  python -m sign_keras.evaluate --model runs/my_signs --records data/my_signs

writes metrics.json, predictions.csv, confusion_matrix.png and report.html: into the run's own directory where the
records and the split are those of its own test, else into ./evaluation/MODEL-RECORDS-SPLIT.
"""
BATCH_SIZE = 16
# What of a ClipSpec shapes an input; the rest may differ between a model's records and those it is tested on.
SPEC_FIELDS = {"frames": ("crop", "short_side", "jpeg_quality"), "keypoints": ("keypoints",), "frame_mask": ()}


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
        run: the training that the artefact comes from, where known.
        batch_size: clips a step; changes speed alone.

    Returns:
        The content of ``metrics.json``.

    Raises:
        UserError: see ``evaluate_artefact``.
    """
    from sign_keras.metrics import isolated_metrics
    from sign_keras.reporting import write_evaluation

    predictions = evaluate_artefact(artefact, records, split, batch_size)
    metrics = isolated_metrics(
        predictions.logits,
        predictions.labels,
        predictions.signers,
        artefact.label_map,
        split=split,
        bootstrap_samples=bootstrap_samples,
    )
    write_evaluation(output, predictions, artefact.label_map, metrics, name=artefact.name, records=records, run=run)
    return metrics


def evaluate_artefact(
    artefact: Recogniser, records: "Records", split: str, batch_size: int = BATCH_SIZE
) -> "Predictions":
    """Lets an artefact predict every clip of a split, each once.

    Returns:
        Labels are ids in the artefact's label map: glosses are matched by name, whatever their order.

    Raises:
        UserError: the clips were not made as the artefact wants them, it lacks one of their glosses, a record is
            damaged, or the model returns numbers that are not finite.
    """
    from sign_keras.metrics import Predictions

    check_clip_spec(artefact.clip_spec, records)
    own_ids = _own_ids(artefact.label_map, records, split)
    logits: list[np.ndarray] = []
    labels: list[int] = []
    names: dict[str, list[str]] = {"media_id": [], "path": [], "signer": []}
    with tqdm(total=records.num_clips(split), desc="evaluating", unit="clip", disable=None) as bar:
        for inputs, label, metadata in _batches(records, split, batch_size):
            for name, values in names.items():
                values += [text.decode("utf-8", "replace") for text in metadata[name]]
            batch = artefact.logits(inputs)
            if not np.isfinite(batch).all():
                first = names["media_id"][len(labels) + int(np.argmin(np.isfinite(batch).all(axis=1)))]
                raise UserError(f"{first}: the model's logits are not finite; it cannot be evaluated")
            logits.append(batch)
            labels += [_own_id(own_ids, index, records) for index in label.tolist()]
            bar.update(len(label))
    return Predictions(
        np.concatenate(logits).astype(np.float32),
        np.array(labels, np.int64),
        names["media_id"],
        names["path"],
        names["signer"],
    )


def check_clip_spec(wanted: ClipSpec, records: "Records") -> None:
    """Compares how an artefact's clips are made with how the records were, as far as its inputs depend on it.

    Raises:
        UserError: naming the first field that differs, and both values.
    """
    made = records.info.clip_spec
    for name in records.input_names:
        for section in SPEC_FIELDS[name]:
            if difference := _difference(section, getattr(wanted, section), getattr(made, section)):
                field, ours, theirs = difference
                raise UserError(
                    f"{records.directory}: {field} is {theirs!r}, but the model wants {ours!r}; convert the videos "
                    f"again with --set {field}={'null' if ours is None else ours}"
                )
    if difference := _difference("sampling", wanted.sampling, records.sampling):
        field, ours, theirs = difference
        raise UserError(f"{records.directory}: opened with {field} {theirs!r}, but the model wants {ours!r}")


def _difference(field: str, ours: Any, theirs: Any) -> tuple[str, Any, Any] | None:
    """The first of a section's fields that differ, and both values; None where nothing does."""
    if ours == theirs:
        return None
    if not (isinstance(ours, Settings) and isinstance(theirs, Settings)):
        return field, ours, theirs
    if isinstance(ours, CropSpec) and ours.mode == getattr(theirs, "mode", None) == "full":
        return None  # the margin around hands says nothing then
    key = next(key for key in type(ours).model_fields if getattr(ours, key) != getattr(theirs, key))
    return f"{field}.{key}", getattr(ours, key), getattr(theirs, key)


def _own_ids(label_map: LabelMap, records: "Records", split: str) -> dict[int, int]:
    """Id in ``label_map`` by id in the records' label map, for the glosses that the artefact knows."""
    held = records.info.splits[split].glosses if split in records.info.splits else {}
    for gloss in sorted(held, key=records.label_map.id):
        if gloss not in label_map:
            raise UserError(
                f"{records.directory}: split {split!r} holds the gloss {gloss!r}, which is not among the model's "
                f"{len(label_map)}; evaluate it on records of the glosses that it was trained on"
            )
    return {number: label_map.id(gloss) for number, gloss in enumerate(records.label_map) if gloss in label_map}


def _own_id(own_ids: dict[int, int], index: int, records: "Records") -> int:
    if index not in own_ids:
        raise UserError(
            f"{records.directory}: a record has the label {index}, which {FILE_NAME} does not count; to find it: "
            f"python -m tfrecords_tools.inspect {records.directory}"
        )
    return own_ids[index]


def _batches(
    records: "Records", split: str, batch_size: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]]:
    import tensorflow as tf

    batches = records.evaluation_batches(split, batch_size).as_numpy_iterator()
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


def default_output(model: Path, records: Path, split: str, info: DatasetInfo, run: "Run | None") -> Path:
    """The run's own directory where this is its own test; else a folder named after all three."""
    if run is not None and run.info == info and run.config.evaluate.split == split:
        return run.directory
    model = model.resolve()
    name = model.name if model.is_dir() else model.stem
    return Path("evaluation") / f"{name}-{records.resolve().name}-{split}"


def format_summary(metrics: dict[str, Any]) -> str:
    """The headline numbers, in two lines."""
    low, high = (100 * bound for bound in metrics["top1_interval"])
    signers = metrics["signers"]
    people = f"{signers} signer{'' if signers == 1 else 's'}" if signers else "signers not known"
    return (
        f"{metrics['split']}: {metrics['clips']} clips, {people}\n"
        f"top-1 {100 * metrics['top1']:.1f} % (95 % interval {low:.1f} to {high:.1f}, over "
        f"{metrics['interval_over']}), top-5 {100 * metrics['top5']:.1f} %, macro F1 "
        f"{metrics['macro_f1']:.3f}, chance {100 * metrics['chance']:.1f} %"
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
    parser.add_argument(
        "--batch-size", type=int, default=BATCH_SIZE, metavar="N", help=f"clips a step (default {BATCH_SIZE})"
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: must be at least 1")
    if not arguments.model.exists():
        raise UserError(f"{arguments.model}: no such run, SavedModel or .tflite file")
    info = DatasetInfo.load(arguments.records)  # before TensorFlow: a misspelt folder is told at once
    quiet_tensorflow()
    from sign_keras.config import EvaluateConfig
    from sign_keras.data.dataset import Records
    from sign_keras.inference.artefact import load_artefact
    from sign_keras.run import CONFIG_NAME, REPORT_NAME, Run

    artefact = load_artefact(arguments.model)
    run = Run.load(arguments.model) if (arguments.model / CONFIG_NAME).is_file() else None
    records = Records.open(arguments.records, artefact.sampling, artefact.input_names)
    output = arguments.output or default_output(arguments.model, arguments.records, arguments.split, info, run)
    metrics = evaluate(
        artefact,
        records,
        arguments.split,
        output,
        bootstrap_samples=(run.config.evaluate if run else EvaluateConfig()).bootstrap_samples,
        run=run,
        batch_size=arguments.batch_size,
    )
    print(format_summary(metrics))
    print(f"report: {output / REPORT_NAME}")
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
