"""``python -m sign_keras.doctor``: what this machine has and lacks; with ``--run``, what ails a training."""

import argparse
import sys
from pathlib import Path

from sign_keras.doctor.findings import Finding, summary
from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, run_command

EXAMPLE = """example:
  python -m sign_keras.doctor
  python -m sign_keras.doctor --run runs/cnn_lstm

Exit status: 0, or 1 where there is a problem.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m sign_keras.doctor",
        description="Says what this machine has and lacks, or what ails a training, and how to mend it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="look at this run instead of the machine")
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    findings = list(look_at_run(arguments.run) if arguments.run else look_around())
    for finding in findings:
        print(finding.text())
    print(summary(findings))
    return SKIPPED_INPUTS if any(finding.level == "problem" for finding in findings) else SUCCESS


def look_around() -> list[Finding]:
    """At packages and the machine."""
    from sign_keras.doctor.machine import look_at_machine
    from sign_keras.doctor.packages import look_at_packages

    print("looking at packages and the machine; loading TensorFlow takes some seconds", file=sys.stderr)
    return [*look_at_packages(), *look_at_machine()]


def look_at_run(directory: Path) -> list[Finding]:
    """At a training."""
    from sign_keras.quiet import quiet_tensorflow

    quiet_tensorflow()
    from sign_keras.doctor.training import Training, look_at_training

    return look_at_training(Training.load(directory))


if __name__ == "__main__":
    run_command(main)
