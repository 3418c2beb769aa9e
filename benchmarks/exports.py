"""What quantization costs and gives: size, one-thread latency, answers kept and accuracy of a run's exports.

Each .tflite is compared with the run on every clip of the given splits, which it has not been chosen on; the gate
is left open, so that the table has what the gate would refuse. Latencies of all files are taken in turns, so that a
busy machine is as busy for each; the best is what a file costs, the median what it cost here.

    python benchmarks/exports.py --run runs/cnn_lstm --quantization none float16 dynamic int8 \
        --test data/synthetic_words/records:test
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from sign_keras.quiet import quiet_tensorflow

ROUNDS, CALLS_IN_A_ROW = 60, 3
OPEN_GATE = {"max_probability_difference": 2.0, "min_top1_agreement": 0.0, "max_accuracy_loss": 1.0}


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
    return parser


def main() -> None:
    """Prints a row of the table for each quantization."""
    arguments = build_parser().parse_args()
    quiet_tensorflow()
    from sign_keras.export import export_run
    from sign_keras.export.__main__ import find_records
    from sign_keras.inference.run_artefact import RunArtefact
    from sign_keras.inference.tflite_artefact import TFLiteArtefact
    from sign_keras.run import Run

    run = Run.load(arguments.run)
    config = run.config.model_copy(update={"export": run.config.export.model_copy(update=OPEN_GATE)})
    with tempfile.TemporaryDirectory() as scratch:
        paths = export_run(
            dataclasses.replace(run, config=config),
            ["tflite"],
            arguments.quantization,
            records=find_records(run),
            output_dir=Path(scratch),
        )
        artefacts = [TFLiteArtefact(path, num_threads=1) for path in paths]
        top1, labels, clip = answers([RunArtefact(run), *artefacts], arguments.test)
        best, median = latencies(artefacts, clip)
        print(f"{run.config.name} ({run.config.model.architecture}), {len(labels)} clips")
        print("| quantization | MB | one thread, best (median) | same answer | top-1 (run's) | ops |")
        print("|---|---|---|---|---|---|")
        for index, path in enumerate(paths):
            report = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            classes = ", ".join(f"{count} {name}" for name, count in report["operator_classes"].items())
            print(
                f"| {report['quantization']} | {report['size_bytes'] / 1e6:.2f} | {best[index]:.2f} ms "
                f"({median[index]:.2f}) | {(top1[index + 1] == top1[0]).mean():.1%} | "
                f"{(top1[index + 1] == labels).mean():.4f} ({(top1[0] == labels).mean():.4f}) | {classes} |"
            )


def answers(artefacts, tests):
    """Top answers ``[artefacts, clips]``, labels ``[clips]``, and one clip's inputs; each clip is read once."""
    from sign_keras.data.compatibility import check_clip_spec, matched_ids
    from sign_keras.data.dataset import Records

    top1, labels = [[] for _ in artefacts], []
    first = artefacts[0]
    clip = None
    for test in tests:
        directory, _, split = test.rpartition(":")
        records = Records.open(Path(directory), first.sampling, first.input_names)
        check_clip_spec(first.clip_spec, records)
        own_ids = matched_ids(first.label_map, records, split)
        for inputs, label, _ in records.evaluation_batches(split, 16).as_numpy_iterator():
            clip = clip or {name: values[:1] for name, values in inputs.items()}
            labels += [own_ids[int(index)] for index in label]
            for found, artefact in zip(top1, artefacts, strict=True):
                found += artefact.logits(inputs).argmax(axis=1).tolist()
    return np.array(top1), np.array(labels), clip


def latencies(artefacts, clip):
    """Best and median milliseconds of each artefact."""
    times = [[] for _ in artefacts]
    for _ in range(ROUNDS):
        for durations, artefact in zip(times, artefacts, strict=True):
            for _ in range(CALLS_IN_A_ROW):
                start = time.perf_counter()
                artefact.logits(clip)
                durations.append(time.perf_counter() - start)
    return [1e3 * min(row) for row in times], [1e3 * float(np.median(row)) for row in times]


if __name__ == "__main__":
    main()
