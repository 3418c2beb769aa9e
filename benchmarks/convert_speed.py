"""Speed and memory of ``convert`` against the bare work it cannot do without.

Speed: clips a second of ``python -m tfrecords_tools.convert --workers N`` as a whole process, start-up and
writing included, against N bare processes that decode the same clips with PyAV and run MediaPipe Holistic on
each frame, tracking reset at each clip as convert does, and do nothing else. Both are run in turns.

Memory: the highest sum over the process tree of convert, at two numbers of clips. It must not grow with them.
Pages that processes share count once in all (PSS) where the system tells: a process that has just been forked
would else seem to hold its parent's memory a second time.

Example:
  python benchmarks/convert_speed.py --num-clips 60 --repeats 2
"""

import argparse
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

import psutil
import sample_data
from rows import Row, from_rates

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.1
MEGABYTE = 1e6

BARE_LOOP = """
import sys
for heavy in ("tensorflow", "jax", "jaxlib"):
    sys.modules[heavy] = None
import av
from mediapipe.python.solutions.holistic import Holistic
model = Holistic(model_complexity=1)
for number, path in enumerate(sys.argv[1:]):
    if number:
        model.reset()
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            model.process(frame.to_ndarray(format="rgb24"))
"""


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        videos = find_videos(arguments.input, work)
        results: dict[str, Any] = {"workers": arguments.workers, "videos": len(videos)}
        if not arguments.memory_only:
            results["speed"] = measure_speed(videos, arguments, work)
        if not arguments.speed_only:
            results["memory"] = measure_memory(videos, arguments, work)
    print(json.dumps(results) if arguments.json else _table(results))


def quick(data: Path) -> list[Row]:
    """Few clips, so that start-up counts for much."""
    arguments = _parse(["--num-clips", "10", "--repeats", "2"])
    with tempfile.TemporaryDirectory() as folder:
        speed = measure_speed(find_videos(sample_data.videos(data), Path(folder)), arguments, Path(folder))
    ours, theirs = (from_rates(speed["runs"][name]) for name in ("convert", "bare loop"))
    what = f"converting {speed['clips']} clips, {arguments.workers} workers, start-up included"
    return [Row(what, "bare loop of decoding and MediaPipe", ours, theirs, "s a clip")]


def find_videos(source: Path | None, work: Path) -> list[Path]:
    """The mp4 files to use; rendered ones where no folder is given."""
    if source is None:
        source = work / "rendered"
        run = [sys.executable, "-m", "tfrecords_tools.synthesize", "--output", str(source)]
        subprocess.run(
            [*run, "--signers", "2", "--clips-per-gloss", "1", "--num-glosses", "8"],
            check=True,
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )
    videos = sorted(source.rglob("*.mp4"))
    if not videos:
        sys.exit(f"error: {source}: holds no mp4 file")
    return videos


def make_input(videos: list[Path], num_clips: int, folder: Path) -> list[Path]:
    """``num_clips`` links to the videos in turn, as ``folder/<gloss>/<number>.mp4``."""
    links = []
    for number in range(num_clips):
        link = folder / f"gloss{number % 10}" / f"{number:05d}.mp4"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(videos[number % len(videos)].resolve())
        links.append(link)
    return links


def measure_speed(videos: list[Path], arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Clips a second of both, by turns, and the ratio of their medians."""
    links = make_input(videos, arguments.num_clips, work / "speed")
    rates: dict[str, list[float]] = {"convert": [], "bare loop": []}
    for repeat in range(arguments.repeats):
        # Whoever goes first meets a cold file cache and a cool processor, so they change places.
        turns = [("convert", _run_convert), ("bare loop", _run_bare_loop)]
        for name, run in turns if repeat % 2 == 0 else turns[::-1]:
            start = time.perf_counter()
            run(links, arguments.workers, work / "speed", work / f"records{repeat}")
            rates[name].append(len(links) / (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "clips": len(links),
        "clips_per_second": medians,
        "runs": rates,
        "ratio": medians["convert"] / medians["bare loop"],
    }


def _run_convert(links: list[Path], workers: int, source: Path, output: Path) -> None:
    process = _start_convert(source, output, workers)
    if process.wait():
        sys.exit("error: convert failed")
    shutil.rmtree(output)


def _start_convert(source: Path, output: Path, workers: int, *settings: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tfrecords_tools.convert", "--source", "video_folders"),
            *("--input", str(source), "--output", str(output), "--workers", str(workers)),
            *(part for setting in settings for part in ("--set", setting)),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
    )


def _run_bare_loop(links: list[Path], workers: int, source: Path, output: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BARE_LOOP, *map(str, links[number::workers])], stderr=subprocess.DEVNULL
        )
        for number in range(workers)
    ]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        sys.exit("error: the bare loop failed")


def measure_memory(videos: list[Path], arguments: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """Peak memory in MB of convert at each number of clips."""
    rows = []
    settings = () if arguments.memory_keypoints else ("keypoints=null",)
    for num_clips in arguments.memory_clips:
        source = work / f"memory{num_clips}"
        make_input(videos, num_clips, source)
        process = _start_convert(source, work / f"out{num_clips}", arguments.workers, *settings)
        peaks = _watch_memory(process)
        rows.append({"clips": num_clips, **{name: peak / MEGABYTE for name, peak in peaks.items()}})
        shutil.rmtree(work / f"out{num_clips}")
    return rows


def _watch_memory(process: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Highest memory, in bytes, of the process, of its largest child, and of all together."""
    parent = psutil.Process(process.pid)
    peaks = {"total": 0.0, "parent": 0.0, "largest_worker": 0.0}
    while process.poll() is None:
        try:
            own = _memory(parent)
            children = [_memory(child) for child in parent.children(recursive=True)]
        except psutil.Error:
            continue
        for name, value in (
            ("total", own + sum(children)),
            ("parent", own),
            ("largest_worker", max(children, default=0)),
        ):
            peaks[name] = max(peaks[name], value)
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        sys.exit("error: convert failed")
    return peaks


def _memory(process: psutil.Process) -> int:
    try:
        information = process.memory_full_info()
    except psutil.Error:  # it has just ended
        return 0
    return int(getattr(information, "pss", information.rss))


def _table(results: dict[str, Any]) -> str:
    lines = []
    if "speed" in results:
        speed = results["speed"]
        lines.append(f"{speed['clips']} clips, {results['workers']} processes: clips/s (each run)")
        for name, median in speed["clips_per_second"].items():
            runs = ", ".join(f"{rate:.3f}" for rate in speed["runs"][name])
            lines.append(f"  {name:<10} {median:.3f}  ({runs})")
        lines.append(f"  ratio      {speed['ratio']:.3f}")
    if "memory" in results:
        lines.append("peak memory, MB")
        lines.append("  clips    total   parent  largest worker")
        for row in results["memory"]:
            numbers = (f"{row[key]:>8.0f}" for key in ("total", "parent", "largest_worker"))
            lines.append(f"  {row['clips']:>5} {' '.join(numbers)}")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, metavar="DIR", help="folder of mp4 files (default: rendered)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    parser.add_argument("--num-clips", type=int, default=60, metavar="N", help="for speed (default: 60)")
    parser.add_argument("--repeats", type=int, default=2, metavar="N", help="turns (default: 2)")
    parser.add_argument(
        "--memory-clips", type=int, nargs="+", default=[100, 400], metavar="N", help="(default: 100 400)"
    )
    parser.add_argument("--memory-keypoints", action="store_true", help="measure memory with MediaPipe too (slow)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--speed-only", action="store_true")
    chosen.add_argument("--memory-only", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
