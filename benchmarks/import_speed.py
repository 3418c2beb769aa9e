"""Speed of importing datasets of keypoints, against a plain loop that only loads the same files.

Sequences a second, on made-up files of the published layouts (``mp_data``: a ``.npy`` of 1662 values a frame;
``gislr``: a parquet file of 543 rows a frame), of

- ``convert``: ``python -m tfrecords_tools.convert --workers N`` as a whole process, start-up and writing included,
  against N bare processes that load the same files and do nothing else;
- ``reader``: the source's reader in one process, against the plain loop in the same process.

The plain loop loads a sequence as notebooks do: ``numpy.load`` and ``numpy.stack``, or
``pyarrow.parquet.read_table`` of x, y and z and a reshape. It checks nothing and puts no groups in order. Files
come out of the system's file cache. The sides take turns, and the ratio is that of their medians.

Example:
  python benchmarks/import_speed.py --sequences 400 --repeats 5
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rows import Row, from_rates

from tfrecords_tools.keypoint_layout import MEDIAPIPE_HOLISTIC
from tfrecords_tools.sources import SOURCES

REPOSITORY = Path(__file__).resolve().parent.parent
NUM_GLOSSES, NUM_SIGNERS = 10, 5

# Each defines load(path); run in this process, and in bare ones with MAIN after it.
PLAIN_LOOPS = {
    "mp_data": """
import os
import numpy as np
def load(folder):
    names = sorted(os.listdir(folder), key=lambda name: int(name[:-4]))
    return np.stack([np.load(os.path.join(folder, name)) for name in names])
""",
    "gislr": """
import numpy as np
import pyarrow.parquet
def load(path):
    table = pyarrow.parquet.read_table(path, columns=["x", "y", "z"])
    return np.stack([table[axis].to_numpy() for axis in "xyz"], axis=-1).reshape(-1, 543, 3)
""",
}
MAIN = """
import sys
for path in sys.stdin.read().splitlines():
    load(path)
"""


@dataclass(frozen=True)
class Dataset:
    """Made-up files of one format: its name as a source, its folder, and the path of each sequence."""

    source: str
    folder: Path
    sequences: list[Path]


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    results = measure_sources(arguments)
    print(json.dumps(results) if arguments.json else _table(results))


def quick(data: Path) -> list[Row]:
    """Few sequences, so that start-up counts for much."""
    arguments = _parse(["--sequences", "80", "--repeats", "3"])
    rows = []
    for source, comparisons in measure_sources(arguments)["sources"].items():
        for comparison, what in (
            ("convert", f"converting 80 sequences of {source}, start-up included"),
            ("reader", f"reading {source}, one process"),
        ):
            (_, ours), (other, theirs) = comparisons[comparison]["runs"].items()
            milliseconds = ([1e3 * one for one in from_rates(rates)] for rates in (ours, theirs))
            rows.append(Row(what, f"{other}, loading alone", *milliseconds, "ms a sequence"))
    return rows


def measure_sources(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both comparisons of each source."""
    results: dict[str, Any] = {key: getattr(arguments, key) for key in ("sequences", "frames", "workers")}
    results["sources"] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in arguments.sources:
            dataset = WRITERS[source](Path(folder) / source, arguments.sequences, arguments.frames)
            results["sources"][source] = measure(
                dataset, arguments.workers, arguments.repeats, Path(folder) / "out"
            )
    return results


# ------------------------------------------------------------------------------------------------ made-up files


def write_mp_data(folder: Path, num_sequences: int, num_frames: int) -> Dataset:
    """``<word>/<sequence>/<frame>.npy`` of 1662 float64: pose with visibility, face, left hand, right hand."""
    sequences = []
    for number in range(num_sequences):
        groups = made_up_groups(num_frames, seed=number)
        pose = np.concatenate([groups["pose"], np.ones((num_frames, 33, 1))], axis=2)
        parts = [pose, groups["face"], groups["left_hand"], groups["right_hand"]]
        values = np.nan_to_num(np.concatenate([part.reshape(num_frames, -1) for part in parts], axis=1))
        sequence = folder / f"word{number % NUM_GLOSSES}" / str(number // NUM_GLOSSES)
        sequence.mkdir(parents=True)
        for index, frame in enumerate(values):
            np.save(sequence / f"{index}.npy", frame)
        sequences.append(sequence)
    return Dataset("mp_data", folder, sequences)


def write_gislr(folder: Path, num_sequences: int, num_frames: int) -> Dataset:
    """``train.csv``, the label map, and a parquet file a sequence, as Kaggle's asl-signs has them."""
    import pyarrow
    import pyarrow.parquet

    order = ("face", "left_hand", "pose", "right_hand")
    sizes = {group: len(points) for group, points in MEDIAPIPE_HOLISTIC.groups}
    rows = [
        (frame, group, index) for frame in range(num_frames) for group in order for index in range(sizes[group])
    ]
    keys = {
        "frame": pyarrow.array([row[0] for row in rows], pyarrow.int16()),
        "row_id": pyarrow.array(["-".join(map(str, row)) for row in rows]),
        "type": pyarrow.array([row[1] for row in rows]),
        "landmark_index": pyarrow.array([row[2] for row in rows], pyarrow.int16()),
    }
    sequences, lines = [], []
    for number in range(num_sequences):
        groups = made_up_groups(num_frames, seed=number)
        xyz = np.concatenate([groups[group] for group in order], axis=1).reshape(-1, 3)
        values = {axis: pyarrow.array(xyz[:, column], from_pandas=True) for column, axis in enumerate("xyz")}
        path = f"train_landmark_files/{number % NUM_SIGNERS}/{number}.parquet"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table(keys | values), folder / path)
        sequences.append(folder / path)
        lines.append([path, number % NUM_SIGNERS, number, f"sign{number % NUM_GLOSSES}"])
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "participant_id", "sequence_id", "sign"], *lines])
    label_ids = {f"sign{index}": index for index in range(NUM_GLOSSES)}
    (folder / "sign_to_prediction_index_map.json").write_text(json.dumps(label_ids), encoding="utf-8")
    return Dataset("gislr", folder, sequences)


WRITERS: dict[str, Callable[[Path, int, int], Dataset]] = {"mp_data": write_mp_data, "gislr": write_gislr}


def made_up_groups(num_frames: int, seed: int) -> dict[str, np.ndarray]:
    """``[T, P, 3]`` of each group: points that drift, and a left hand that is missing in every other frame."""
    rng = np.random.default_rng(seed)
    groups = {}
    for group, points in MEDIAPIPE_HOLISTIC.groups:
        drift = rng.normal(0, 0.005, (num_frames, len(points), 3)).cumsum(axis=0)
        groups[group] = rng.uniform(0.2, 0.8, (len(points), 3)) + drift
    groups["left_hand"][::2] = np.nan
    return groups


# -------------------------------------------------------------------------------------------------- measurement


def measure(dataset: Dataset, workers: int, repeats: int, output: Path) -> dict[str, Any]:
    """Sequences a second of both comparisons, by turns, and the ratios of the medians."""
    processes = {
        "convert": lambda: run_convert(dataset, workers, output),
        "bare processes": lambda: run_plain_loops(dataset, workers),
    }
    namespace: dict[str, Any] = {}
    exec(PLAIN_LOOPS[dataset.source], namespace)
    listing = SOURCES[dataset.source]().list_clips(dataset.folder)
    if listing.reader is None or len(listing.clips) != len(dataset.sequences):
        sys.exit(f"error: {dataset.source} listed {len(listing.clips)} of {len(dataset.sequences)} sequences")
    reader, clips = listing.reader, listing.clips
    in_process = {
        "reader": lambda: [reader(clip) for clip in clips],
        "plain loop": lambda: [namespace["load"](str(path)) for path in dataset.sequences],
    }
    for run in in_process.values():  # imports, and the file cache
        run()
    return {
        "convert": take_turns(processes, len(dataset.sequences), repeats),
        "reader": take_turns(in_process, len(dataset.sequences), repeats),
    }


def take_turns(sides: dict[str, Callable[[], object]], num_sequences: int, repeats: int) -> dict[str, Any]:
    """Rates of two sides, and the first's median as a multiple of the second's."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(repeats):
        # Whoever goes first meets a cool processor, so they change places.
        turns = list(sides.items())
        for name, run in turns if repeat % 2 == 0 else turns[::-1]:
            start = time.perf_counter()
            run()
            rates[name].append(num_sequences / (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ours, plain = medians.values()
    return {"sequences_per_second": medians, "runs": rates, "ratio": ours / plain}


def run_convert(dataset: Dataset, workers: int, output: Path) -> None:
    """``convert`` as a user runs it; its records are removed again."""
    command = [
        *(sys.executable, "-m", "tfrecords_tools.convert", "--source", dataset.source),
        *("--input", str(dataset.folder), "--output", str(output), "--workers", str(workers)),
    ]
    if subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL).returncode:
        sys.exit("error: convert failed")
    shutil.rmtree(output)


def run_plain_loops(dataset: Dataset, workers: int) -> None:
    """As many processes, each with its share of the sequences."""
    code = PLAIN_LOOPS[dataset.source] + MAIN
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) for _ in range(workers)
    ]
    for number, process in enumerate(processes):
        _send(process, dataset.sequences[number::workers])
    statuses = [process.wait() for process in processes]
    if any(statuses):
        sys.exit("error: the plain loop failed")


def _send(process: "subprocess.Popen[str]", paths: Sequence[Path]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n".join(map(str, paths)))
    process.stdin.close()


def _table(results: dict[str, Any]) -> str:
    lines = [f"{results['sequences']} sequences of {results['frames']} frames: sequences/s (each turn)"]
    titles = {"convert": f"{results['workers']} processes, start-up included", "reader": "one process"}
    for source, comparisons in results["sources"].items():
        for comparison, title in titles.items():
            values = comparisons[comparison]
            lines.append(f"{source}, {title}")
            for name, median in values["sequences_per_second"].items():
                turns = ", ".join(f"{rate:.0f}" for rate in values["runs"][name])
                lines.append(f"  {name:<16}{median:>8.1f}  ({turns})")
            lines.append(f"  ratio           {values['ratio']:>8.2f}")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", nargs="+", choices=list(WRITERS), default=list(WRITERS), metavar="NAME")
    parser.add_argument("--sequences", type=int, default=400, metavar="N", help="of each source (default: 400)")
    parser.add_argument("--frames", type=int, default=30, metavar="N", help="of each sequence (default: 30)")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="turns (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
