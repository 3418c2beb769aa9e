"""``python -m sign_keras.ensemble``: several runs as one model that averages their logits."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sign_keras.inference.info import kind_of
from sign_keras.quiet import quiet_tensorflow
from tfrecords_tools.command_line import SUCCESS, UserError, run_command
from tfrecords_tools.journal import write_atomically
from tfrecords_tools.settings import validate

if TYPE_CHECKING:
    from sign_keras.run import Run

EXAMPLE = """example:
  for seed in 1 2 3; do
    python -m sign_keras.train --config configs/my_signs.yaml --set seed=$seed --run-dir runs/my_signs_$seed
  done
  python -m sign_keras.ensemble --runs runs/my_signs_1 runs/my_signs_2 runs/my_signs_3 --output runs/my_signs_all

writes a run directory that evaluate, predict, export and enroll take as any other. It is as large and as slow as
all its members together.
"""
MEMBERS_NAME = "members.json"


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.ensemble",
        description="Joins runs of one task, from several seeds, into one model that averages their logits.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", required=True, nargs="+", type=Path, metavar="DIR", help="two run directories or more"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="run directory to write")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    if len({path.resolve() for path in arguments.runs}) < max(2, len(arguments.runs)):
        raise UserError("--runs: expected two different run directories or more")
    for path in arguments.runs:
        if kind_of(path) != "run":
            raise UserError(f"--runs {path}: is an export; give the run directory that it came from")
    if arguments.output.exists():
        raise UserError(f"--output {arguments.output}: is there already; choose another")
    quiet_tensorflow(run_half_op=True)

    from sign_keras.export.__main__ import find_records
    from sign_keras.run import Run

    run = join([Run.load(path) for path in arguments.runs], arguments.output)
    print(f"run: {run.directory}")
    records = find_records(run)
    if records is None:
        print(
            f"{run.config.records.directory}: the runs' records are not there; once they are, calibrate it: "
            f"python -m sign_keras.calibrate --run {run.directory} --records DIR"
        )
        return SUCCESS

    from sign_keras.calibrate import calibrate_run, describe
    from sign_keras.inference.run_artefact import RunArtefact

    artefact = RunArtefact(run)
    confidence, _ = calibrate_run(artefact, records, run.directory, run.config.evaluate, run.config.data.no_sign)
    print(describe(confidence))
    return SUCCESS


def join(runs: "Sequence[Run]", output: Path) -> "Run":
    """Writes a run whose model holds those of others.

    Args:
        runs: at least two, with an epoch each.
        output: directory to write.

    Raises:
        UserError: they differ in more than their seeds and networks, a run is an ensemble itself or has no weights,
            or the directory is a run already or its name will not do.
    """
    from sign_keras.config import EnsembleConfig
    from sign_keras.models import build_model
    from sign_keras.run import Run

    first = runs[0]
    for run in runs:
        if isinstance(run.config.model, EnsembleConfig):
            raise UserError(f"--runs {run.directory}: is an ensemble itself; give its members")
        check_fits(run, first)
    members = [run.config.model.model_dump() for run in runs]
    changes = {"name": output.name, "model": {"architecture": "ensemble", "members": members}}
    config = validate(type(first.config), first.config.model_dump() | changes, f"--output {output}")
    models = [run.load_model() for run in runs]
    joint = build_model(config.model.without_weights(), first.clip_input, len(first.label_map))
    for number, model in enumerate(models, start=1):
        joint.get_layer(f"member{number}").set_weights(model.get_weights())
    written = Run.create(output, config, first.label_map, first.info)
    written.best_weights.parent.mkdir()
    joint.save_weights(written.best_weights)
    content = [{"run": str(run.directory), "seed": run.config.seed} for run in runs]
    write_atomically(output / MEMBERS_NAME, json.dumps(content, indent=1))
    return written


def check_fits(run: "Run", first: "Run") -> None:
    """Compares what a run takes and answers with the first one.

    Raises:
        UserError: naming the first thing that differs.
    """
    from sign_keras.models import input_names

    def inputs(of: "Run") -> tuple[str, ...]:
        return input_names(of.config.model, of.config.sampling)

    differences = {
        "its glosses": run.label_map != first.label_map,
        "its inputs (frames or keypoints)": inputs(run) != inputs(first),
        "its sampling": run.config.sampling != first.config.sampling,
        "how its clips were made": run.clip_spec != first.clip_spec,
        "the pixel statistics or the keypoint layout of its records": run.clip_input != first.clip_input,
        "data.no_sign": run.config.data.no_sign != first.config.data.no_sign,
    }
    if found := [what for what, differs in differences.items() if differs]:
        raise UserError(
            f"--runs {run.directory}: differs from {first.directory} in {found[0]}; an ensemble needs runs of one "
            "configuration with other seeds or networks"
        )


if __name__ == "__main__":
    run_command(main)
