"""``python -m tfrecords_tools.convert``: videos to sharded TFRecords."""

import argparse
import inspect
from pathlib import Path
from typing import Any

from tfrecords_tools.beam_runner import beam_writer
from tfrecords_tools.command_line import SKIPPED_INPUTS, SUCCESS, UserError, run_command
from tfrecords_tools.dataset_info import SKIPPED_NAME, DatasetInfo
from tfrecords_tools.pipeline import ConvertSettings, ShardsWriter, convert
from tfrecords_tools.settings import add_overrides, apply_overrides, validate
from tfrecords_tools.sources import SOURCES, Source

EXAMPLE = """example:
  python -m tfrecords_tools.convert --source video_folders --input my_signs --output data/my_signs

my_signs/hello/01.mp4, my_signs/thanks/01.mp4, ... become data/my_signs/*.tfrecord-*. Killed at any moment and
started again, it goes on where it stopped. Exit status 1: some inputs were skipped; skipped.csv says which.

sources:
"""


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    listed = "\n".join(
        f"  {name:<15} {(inspect.getdoc(source) or '').splitlines()[0].replace('``', '')}"
        for name, source in SOURCES.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords_tools.convert",
        description="Turns videos into sharded TFRecords of frames and MediaPipe keypoints.",
        epilog=EXAMPLE + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", required=True, choices=SOURCES, metavar="NAME", help="format of the input")
    parser.add_argument("--input", required=True, type=Path, metavar="PATH", help="folder or file to read")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the records")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="who makes the records: processes here, or Apache Beam, here or on a cluster (default: local)",
    )
    parser.add_argument(
        "--beam-runner",
        metavar="NAME",
        help="with --runner beam: FlinkRunner, SparkRunner, DataflowRunner, ... (default: processes here); "
        "options of Beam's own are passed on, e.g. --flink_master=host:8081",
    )
    parser.add_argument(
        "--num-glosses", type=int, metavar="N", help="wlasl: the first N glosses, e.g. 100 for WLASL100"
    )
    parser.add_argument(
        "--list-missing",
        action="store_true",
        help="wlasl, gislr: convert nothing; print what the published list names and is not there (of wlasl: "
        "video_id, url, gloss, split)",
    )
    add_overrides(
        parser,
        "a setting, e.g. short_side=224, crop.mode=hands, keypoints=null, split.by=clip, split.seed=1, "
        "source.signer_pattern=...; may be repeated",
    )
    return parser


def convert_source(
    source: str,
    path: Path,
    output: Path,
    settings: dict[str, Any],
    workers: int | None = None,
    write_shards: ShardsWriter | None = None,
) -> DatasetInfo:
    """Lists a source's clips and converts them.

    Args:
        source: a key of ``SOURCES``.
        path: what the source reads.
        output: the records' folder.
        settings: plain values of ``ConvertSettings``; the source's own under ``source``.
        workers: processes; by default one a core.
        write_shards: as for ``convert``.

    Raises:
        UserError: unknown settings, or an input that is missing or not of the source's format.
    """
    values = dict(settings)
    lister = _lister(source, values.pop("source", None))
    checked = validate(ConvertSettings, values, "--set")
    listing = lister.list_clips(path)
    for note in listing.notes:
        print(note)
    return convert(listing, output, source=source, settings=checked, workers=workers, write_shards=write_shards)


def _lister(source: str, settings: dict[str, Any] | None) -> Source:
    return validate(SOURCES[source], settings or {}, "--set source")


def _list_missing(source: str, path: Path, settings: dict[str, Any]) -> None:
    """Prints a line for each clip of the source's published list that is not at ``path``."""
    missing = _lister(source, settings.get("source")).list_clips(path).missing
    if missing is None:
        raise UserError(f"--list-missing: source {source} has no published list to compare with")
    for line in missing:
        print(line)


def main() -> int:
    """Runs the command."""
    parser = build_parser()
    arguments, unknown = parser.parse_known_args()
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: must be at least 1")
    if arguments.runner == "beam":
        write_shards = beam_writer(arguments.beam_runner, unknown, arguments.workers)
    elif unknown or arguments.beam_runner:
        parser.error(f"without --runner beam: unrecognized arguments: {' '.join(unknown) or '--beam-runner'}")
    else:
        write_shards = None
    settings = apply_overrides({}, arguments.overrides)
    if arguments.num_glosses is not None:
        if "num_glosses" not in SOURCES[arguments.source].model_fields:
            raise UserError(f"--num-glosses: source {arguments.source} has no such setting")
        settings = apply_overrides(settings, [f"source.num_glosses={arguments.num_glosses}"])
    if arguments.list_missing:
        _list_missing(arguments.source, arguments.input, settings)
        return SUCCESS
    if arguments.output is None:
        parser.error("the following arguments are required: --output")
    info = convert_source(
        arguments.source,
        arguments.input,
        arguments.output,
        settings,
        arguments.workers,
        write_shards,
    )
    counts = ", ".join(f"{split} {part.clips}" for split, part in info.splits.items())
    print(f"{arguments.output}: {counts} clips in {len(info.shards)} shards")
    if info.num_skipped:
        print(f"{info.num_skipped} inputs were skipped: see {arguments.output / SKIPPED_NAME}")
        return SKIPPED_INPUTS
    return SUCCESS


if __name__ == "__main__":
    run_command(main)
