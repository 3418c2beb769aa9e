"""``python -m sign_keras.export``: a run to files for servers and phones, behind the parity gate."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sign_keras.export.exporter import export_run
from sign_keras.export.targets import FORMATS, QUANTIZATIONS, report_path
from sign_keras.inference.info import kind_of
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import FILE_NAME as DATASET_INFO_NAME

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records
    from sign_keras.run import Run

EXAMPLE = """example:
  python -m sign_keras.export --run runs/cnn_lstm --formats savedmodel tflite --quantization none dynamic

writes savedmodels/cnn_lstm/, tflite/cnn_lstm.tflite and tflite/cnn_lstm_dynamic.tflite, each with its figures in a
.json beside it, once their answers have been compared with the run's.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.export",
        description="Exports a trained run; what does not answer as the run does is not written.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, type=Path, metavar="DIR", help="run directory")
    parser.add_argument("--formats", required=True, nargs="+", choices=FORMATS, help="what to write")
    parser.add_argument(
        "--quantization",
        nargs="+",
        choices=QUANTIZATIONS,
        default=["none"],
        help="of .tflite files (default: none)",
    )
    parser.add_argument("--output-dir", type=Path, default=Path("."), metavar="DIR", help="default: here")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if kind_of(arguments.run) != "run":
        raise UserError(f"--run {arguments.run}: is an export; give the run directory that it came from")
    quiet_tensorflow(run_half_op=True)

    from sign_keras.run import Run

    run = Run.load(arguments.run)
    records = find_records(run)
    if records is None:
        print(f"{run.config.records.directory}: the run's records are not there; comparing on noise instead")
    paths = export_run(
        run, arguments.formats, arguments.quantization, records=records, output_dir=arguments.output_dir
    )
    for path in paths:
        print(summarise(path))
    return SUCCESS


def find_records(run: "Run") -> "Records | None":
    """The records that a run was trained on; None where they are gone or have changed since."""
    from sign_keras.data.dataset import Records
    from sign_keras.models import input_names

    directory = run.config.records.directory
    if not (directory / DATASET_INFO_NAME).is_file():
        return None
    model = run.config.model
    inputs = input_names(model, run.config.sampling)
    records = Records.open(directory, run.config.sampling, inputs, model.task, model.frames_per_logit)
    return records if records.info == run.info else None


def summarise(path: Path) -> str:
    """The figures of an export in a line."""
    report = json.loads(report_path(path).read_text(encoding="utf-8"))
    parity, validation, latency = report["parity"], report["validation"], report["latency_ms"]
    times = ", ".join(
        f"{value:.1f} ms {key.replace('_', ' ')}"
        for key, value in sorted(latency.items())
        if isinstance(value, float)
    )
    agreement, clips = parity["top1_agreement"], parity["num_clips"]
    accuracy = ""
    if validation is not None:
        agreement, clips = validation["top1_agreement"], validation["clips"]
        if validation["accuracy"] is not None:
            accuracy = f", accuracy {validation['accuracy']:.3f} (run {validation['accuracy_of_run']:.3f})"
    zipped = f" ({report['zipped_bytes'] / 1e6:.1f} MB zipped)" if report["quantization"] == "pruned" else ""
    return (
        f"{path}: {report['size_bytes'] / 1e6:.1f} MB{zipped}, {times}, differs by up to "
        f"{parity['max_probability_difference']:.1e}, same answer in {agreement:.0%} of {clips} clips{accuracy}"
    )


if __name__ == "__main__":
    run_command(main)
