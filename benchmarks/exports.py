"""What quantization costs and gives: size, one-thread latency, answers kept and accuracy of a run's exports.

Each .tflite is compared with the run on every clip of the given splits, which it has not been chosen on; the gate
is left open, so that the table has what the gate would refuse. Of models that read sentences, *same answer* is the
share of the frames that either calls a gloss, as the gate has it, and the word error rate (WER), by the run's own
decoding, takes the place of top-1 accuracy. Latencies of all files are taken in turns, so that a busy machine is
as busy for each; the best is what a file costs, the median what it cost here. A file that cannot be written or run
is a row that says why.

    python benchmarks/exports.py --run runs/cnn_lstm --quantization none float16 dynamic int8 \
        --test data/synthetic_words/records:test
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sample_data
from rows import Row

from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.command_line import UserError, run_command

if TYPE_CHECKING:
    from sign_keras.inference.artefact import Artefact
    from sign_keras.run import Run

ROUNDS, CALLS_IN_A_ROW = 60, 3
OPEN_GATE = {"max_probability_difference": 2.0, "min_top1_agreement": 0.0, "max_accuracy_loss": float("inf")}
BATCH_SIZE = 16


@dataclasses.dataclass
class Export:
    """What was found of a file.

    Attributes:
        quantization: of the file.
        fault: why there is none; nothing else is known then.
        megabytes: of the file.
        operators: how many of each class.
        milliseconds: of each call, on one thread.
        agreement: share of the run's answers that it gives.
        score: top-1 accuracy, of sentences WER.
    """

    quantization: str
    fault: str = ""
    megabytes: float = 0.0
    operators: dict[str, int] = dataclasses.field(default_factory=dict)
    milliseconds: list[float] = dataclasses.field(default_factory=list)
    agreement: float = 0.0
    score: float = 0.0


@dataclasses.dataclass(frozen=True)
class Measured:
    """A run beside its exports.

    Attributes:
        clips: that they were tested on.
        score: of the run; see ``Export``.
        exports: in the order in which they were asked for.
    """

    clips: int
    score: float
    exports: list[Export]


@dataclasses.dataclass
class Answers:
    """What artefacts say of clips.

    Attributes:
        top1: of each artefact and batch ``[B]``, of sentences ``[B, T']``: the likeliest labels.
        texts: of each artefact and clip: its answer's glosses, of a single sign one.
        references: of each clip: what was signed.
        clip: one clip's inputs.
    """

    top1: list[list[np.ndarray]]
    texts: list[list[tuple[str, ...]]]
    references: list[tuple[str, ...]]
    clip: dict[str, np.ndarray] | None = None


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0],
        epilog="example:\n" + (__doc__ or "").split("\n\n")[-1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, required=True, help="run directory; its records are where it says")
    parser.add_argument("--quantization", nargs="+", default=["none", "float16", "dynamic", "int8"])
    parser.add_argument("--test", nargs="+", required=True, metavar="DIR:SPLIT", help="clips to test on")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"turns (default {ROUNDS})")
    return parser


def main() -> None:
    """Prints a row of the table for each quantization."""
    arguments = build_parser().parse_args()
    quiet_tensorflow()
    from sign_keras.run import Run

    run = Run.load(arguments.run)
    found = measure(run, arguments.quantization, arguments.test, arguments.rounds)
    score = "top-1" if run.config.model.task == "isolated" else "WER"
    print(f"{run.config.name} ({run.config.model.architecture}), {found.clips} clips")
    print(f"| quantization | MB | one thread, best (median) | same answer | {score} (run's) | ops |")
    print("|---|---|---|---|---|---|")
    for export in found.exports:
        classes = ", ".join(f"{count} {name}" for name, count in export.operators.items())
        print(
            f"| {export.quantization} | | {export.fault} | | | |"
            if export.fault
            else f"| {export.quantization} | {export.megabytes:.2f} | {min(export.milliseconds):.2f} ms "
            f"({np.median(export.milliseconds):.2f}) | {export.agreement:.1%} | {export.score:.4f} "
            f"({found.score:.4f}) | {classes} |"
        )


def quick(data: Path) -> list[Row]:
    """Eight bits against float32 of a CNN-LSTM that was trained for one epoch, on a few clips."""
    quiet_tensorflow()
    from sign_keras.run import Run

    run, rounds = Run.load(sample_data.run(data, "cnn_lstm", epochs=1)), 7
    found = measure(run, ["none", "int8"], [f"{sample_data.records(data)}:test"], rounds)
    for export in found.exports:
        if export.fault:
            raise RuntimeError(f"error: {export.quantization}: {export.fault}")
    full, eight = found.exports

    def turns(export: Export) -> list[float]:
        return np.median(np.reshape(export.milliseconds, (rounds, CALLS_IN_A_ROW)), axis=1).tolist()

    return [
        Row("a clip through cnn_lstm in 8 bits, one thread", "in float32", turns(eight), turns(full), "ms"),
        Row("the .tflite of cnn_lstm in 8 bits", "in float32", [eight.megabytes], [full.megabytes], "MB"),
    ]


def measure(run: "Run", quantizations: Sequence[str], tests: Sequence[str], rounds: int) -> Measured:
    """Exports a run without a gate, tests and times what came of it.

    Args:
        run: the training; its records are where its configuration says.
        quantizations: of the .tflite files.
        tests: ``DIR:SPLIT`` of records with clips to test on.
        rounds: turns of timing.
    """
    from sign_keras.export.parity import top1_agreement
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.inference.tflite_artefact import TFLiteArtefact

    task = run.config.model.task
    exports = [Export(quantization) for quantization in quantizations]
    with tempfile.TemporaryDirectory() as scratch:
        paths = write_exports(run, exports, Path(scratch))
        artefacts = [TFLiteArtefact(path, num_threads=1) for path in paths]
        written = [export for export in exports if not export.fault]
        answers = collect_answers([RunArtefact(run), *artefacts], tests)
        of_run, *scores = (score(texts, answers.references, task) for texts in answers.texts)
        for export, top1, found in zip(written, answers.top1[1:], scores, strict=True):
            export.score = found
            export.agreement = top1_agreement(np.concatenate(answers.top1[0]), np.concatenate(top1), task)
        assert answers.clip is not None  # records hold clips
        for export, durations in zip(written, latencies(artefacts, answers.clip, rounds), strict=True):
            export.milliseconds = durations
    return Measured(len(answers.references), of_run, exports)


def write_exports(run: "Run", exports: Sequence[Export], folder: Path) -> list[Path]:
    """Writes the files together, and where that fails each alone; notes figures, or why there is no file."""
    from sign_keras.export import export_run
    from sign_keras.export.__main__ import find_records

    config = run.config.model_copy(update={"export": run.config.export.model_copy(update=OPEN_GATE)})
    names = [export.quantization for export in exports]
    try:
        paths = export_run(
            dataclasses.replace(run, config=config),
            ["tflite"],
            names,
            records=find_records(run),
            output_dir=folder,
        )
    except UserError as error:
        if len(exports) > 1:
            return [path for export in exports for path in write_exports(run, [export], folder)]
        exports[0].fault = str(error)
        return []
    for export, path in zip(exports, paths, strict=True):
        report = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        export.megabytes, export.operators = report["size_bytes"] / 1e6, report["operator_classes"]
    return paths


def collect_answers(artefacts: Sequence["Artefact"], tests: Sequence[str]) -> Answers:
    """Lets every artefact answer every clip; each clip is read once."""
    from sign_keras.data.compatibility import check_clip_spec
    from sign_keras.data.dataset import Records
    from sign_keras.export.answers import reader_of

    answers = Answers([[] for _ in artefacts], [[] for _ in artefacts], [])
    first = artefacts[0]
    for test in tests:
        directory, _, split = test.rpartition(":")
        records = Records.open(
            Path(directory), first.sampling, first.input_names, first.task, first.frames_per_logit
        )
        check_clip_spec(first.clip_spec, records)
        read = reader_of(first, records, split)
        for inputs, labels, _ in records.evaluation_batches(split, BATCH_SIZE).as_numpy_iterator():
            answers.clip = answers.clip or {name: values[:1] for name, values in inputs.items()}
            answers.references += read.references(labels)
            for top1, texts, artefact in zip(answers.top1, answers.texts, artefacts, strict=True):
                logits = artefact.logits(inputs)
                top1.append(logits.argmax(axis=-1))
                texts += read.texts(logits, labels)
    return answers


def score(texts: Sequence[tuple[str, ...]], references: Sequence[tuple[str, ...]], task: str) -> float:
    """Top-1 accuracy, of sentences WER."""
    from sign_keras.export.answers import accuracy

    found = accuracy(texts, references, task)
    if found is None:
        raise UserError("--test: no clip holds a gloss")
    return found if task == "isolated" else 1 - found


def latencies(
    artefacts: Sequence["Artefact"], clip: dict[str, np.ndarray], rounds: int = ROUNDS
) -> list[list[float]]:
    """Milliseconds of each artefact's calls, by turns."""
    times: list[list[float]] = [[] for _ in artefacts]
    for _ in range(rounds):
        for durations, artefact in zip(times, artefacts, strict=True):
            for _ in range(CALLS_IN_A_ROW):
                start = time.perf_counter()
                artefact.logits(clip)
                durations.append(1e3 * (time.perf_counter() - start))
    return times


if __name__ == "__main__":
    run_command(main)
