"""Speed of ``convert --runner beam`` on this machine against the local runner, on the same clips.

Both are whole commands with N workers, start-up and writing included, run by turns. At the end their shards are
compared: the same names and the same bytes. Needs Apache Beam, which the environment of ``make test-beam`` has.

Example:
  .venv-beam/bin/python benchmarks/runner_speed.py --num-clips 128 --repeats 3
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sample_data
from convert_speed import REPOSITORY, find_videos, make_input
from rows import LeftOutError, Row, from_rates

RUNNERS = ("local", "beam")


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_input(find_videos(arguments.input, work), arguments.num_clips, work / "in")
        results = measure(work, arguments)
    print(json.dumps(results) if arguments.json else _table(results))


def quick(data: Path) -> list[Row]:
    """Frames alone, so that the runners' own work shows.

    Raises:
        LeftOutError: there is no Apache Beam.
    """
    if importlib.util.find_spec("apache_beam") is None:
        raise LeftOutError("needs Apache Beam, in the environment of make test-beam")
    options = ["--num-clips", "16", "--clips-per-shard", "4", "--repeats", "1", "--frames-only"]
    arguments = _parse(options)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_input(find_videos(sample_data.videos(data), work), arguments.num_clips, work / "in")
        runs = measure(work, arguments)["runs"]
    what = "converting 16 clips without keypoints by Apache Beam, start-up included"
    return [Row(what, "the local runner", from_rates(runs["beam"]), from_rates(runs["local"]), "s a clip")]


def measure(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Clips a second of both, by turns, and the ratio of their medians."""
    rates: dict[str, list[float]] = {runner: [] for runner in RUNNERS}
    for repeat in range(arguments.repeats):
        # Whoever goes first meets a cold file cache and a cool processor, so they change places.
        for runner in RUNNERS if repeat % 2 == 0 else RUNNERS[::-1]:
            shutil.rmtree(work / runner, ignore_errors=True)
            start = time.perf_counter()
            _convert(runner, work, arguments)
            rates[runner].append(arguments.num_clips / (time.perf_counter() - start))
    medians = {runner: statistics.median(values) for runner, values in rates.items()}
    return {
        "clips": arguments.num_clips,
        "shards": _check_same(work),
        "workers": arguments.workers,
        "clips_per_second": medians,
        "runs": rates,
        "ratio": medians["beam"] / medians["local"],
    }


def _convert(runner: str, work: Path, arguments: argparse.Namespace) -> None:
    settings = ["name=clips", f"clips_per_shard={arguments.clips_per_shard}"]
    settings += ["keypoints=null"] if arguments.frames_only else []
    command = [
        *(sys.executable, "-m", "tfrecords_tools.convert", "--source", "video_folders", "--runner", runner),
        *("--input", str(work / "in"), "--output", str(work / runner), "--workers", str(arguments.workers)),
        *(part for setting in settings for part in ("--set", setting)),
    ]
    if subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"error: convert --runner {runner} failed")


def _check_same(work: Path) -> int:
    """Compares what the last runs left; returns the number of shards."""
    local, beam = (
        {path.name: path.read_bytes() for path in (work / runner).glob("*.tfrecord-*")} for runner in RUNNERS
    )
    if not local or local != beam:
        sys.exit("error: the runners' shards differ")
    return len(local)


def _table(results: dict[str, Any]) -> str:
    lines = [
        f"{results['clips']} clips in {results['shards']} shards, {results['workers']} workers: clips/s (each run)"
    ]
    for runner, median in results["clips_per_second"].items():
        runs = ", ".join(f"{rate:.3f}" for rate in results["runs"][runner])
        lines.append(f"  {runner:<6} {median:.3f}  ({runs})")
    return "\n".join(
        [*lines, f"  ratio  {results['ratio']:.3f}", "  the shards of both are the same, byte for byte"]
    )


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of mp4 files (default: rendered)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    parser.add_argument("--num-clips", type=int, default=128, metavar="N", help="(default: 128)")
    parser.add_argument("--clips-per-shard", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="turns (default: 3)")
    parser.add_argument("--frames-only", action="store_true", help="without keypoints: shows the overhead")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
