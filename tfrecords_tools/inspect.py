"""``python -m tfrecords_tools.inspect DIR``: verifies every record of a folder and prints statistics.

With ``--report`` it also writes a page on the quality of the data, with ``--audit`` it looks for leakage between
splits; all from one reading of the records.
"""

import argparse
from pathlib import Path

from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.inspection.audit import Audit, audit_clips
from tfrecords_tools.inspection.measures import Meter
from tfrecords_tools.inspection.report import write_report
from tfrecords_tools.inspection.sheets import SheetPicker
from tfrecords_tools.inspection.signatures import SignatureMaker
from tfrecords_tools.inspection.verify import Observer, format_statistics, inspect_records

EXAMPLE = """examples:
  python -m tfrecords_tools.inspect data/my_signs
  python -m tfrecords_tools.inspect data/my_signs --report my_signs.html --audit

Exit status 1: problems were found, one line each, naming shard and record; or --audit found leakage or a gloss
that is tested and never trained, one line each, naming the clips.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords_tools.inspect",
        description="Verifies every record of a folder and prints statistics for each split; keypoint groups "
        "with the share of frames in which they were found.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder written by convert")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="write a page that shows the data: lengths, hands found, blur, imbalance, pictures, what was skipped",
    )
    parser.add_argument(
        "--audit",
        action="store_true",
        help="look for leakage: signers in two splits, clips that are in two splits as copies, glosses that a "
        "split lacks",
    )
    return parser


def main() -> int:
    """Runs the command."""
    arguments = build_parser().parse_args()
    info = DatasetInfo.load(arguments.directory)
    if arguments.report is not None:
        _check_report(arguments.report)
    layout = info.layout
    meter, maker = Meter(layout), SignatureMaker(layout)
    picker = SheetPicker(info, layout, meter)
    observers: list[Observer] = []
    if arguments.report is not None or arguments.audit:
        observers.append(meter)
    if arguments.report is not None:
        observers.append(picker)
    if arguments.audit:
        observers.append(maker)
    inspection = inspect_records(arguments.directory, observers=observers)
    print(format_statistics(info, inspection.statistics))
    audit = audit_clips(meter.clips, maker, info) if arguments.audit else None
    if arguments.report is not None:
        write_report(arguments.report, arguments.directory, info, inspection, meter.clips, picker, audit)
        print(f"{arguments.report}: the report")
    found_leakage = _print_audit(arguments.directory, audit) if audit else False
    for problem in inspection.problems:
        print(problem)
    if inspection.problems:
        number = len(inspection.problems)
        print(f"{arguments.directory}: {number} problem{'s' if number > 1 else ''} found")
        return SKIPPED_INPUTS
    print(f"{arguments.directory}: every record is sound")
    return SKIPPED_INPUTS if found_leakage else SUCCESS


def _check_report(path: Path) -> None:
    """Says now, not after minutes of reading, that the report cannot be written."""
    if path.is_dir():
        raise UserError(f"--report {path}: is a folder; name a file, e.g. {path / 'report.html'}")
    if not path.parent.is_dir():
        raise UserError(f"--report {path}: there is no folder {path.parent}; make it first")


def _print_audit(directory: Path, audit: Audit) -> bool:
    """Prints the findings, and tells whether any of them is one to fail for."""
    for finding in audit.findings:
        print(f"{finding.severity}: {finding.text}")
    fatal = sum(finding.is_fatal for finding in audit.findings)
    if not fatal:
        print(f"{directory}: audit: no leakage found")
    else:
        print(f"{directory}: audit: {fatal} finding{'s' if fatal > 1 else ''} of leakage or untrained glosses")
    return fatal > 0


if __name__ == "__main__":
    run_command(main)
