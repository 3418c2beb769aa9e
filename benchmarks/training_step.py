"""Training steps of the 3D networks, against the same networks of torchvision in PyTorch: speed and memory.

- Speed: seconds of one update (forward, backward, SGD with momentum; batch normalisation in training mode), as
  ``sign_keras.train`` makes it, and of the same update in PyTorch, with channels first and with channels last, of
  which the faster one counts. Each side is a process of its own with as many threads; they take turns, and the
  median of the turns counts. The peak is the fastest float32 product of two matrices that any side reached
  meanwhile. FLOPs are those of convolutions and products, counted by PyTorch.
- ``--convolutions``: each distinct convolution of a network, forward and with both gradients, on both sides.
- ``--memory``: by how much the first two updates raise the resident memory of a fresh process above its level after
  building; with and without gradient checkpointing (``model.remat``), and in PyTorch without.

CPU seconds are those of all threads together. On a machine that does other things too, wall seconds say little.

Example:
  make test-torch && .venv-torch/bin/python benchmarks/training_step.py --memory
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rows import LeftOutError, Row
from side import Side, SideError

REPOSITORY = Path(__file__).resolve().parent.parent
KERAS, FIRST, LAST = "this project", "PyTorch", "PyTorch, channels last"
MATRIX_SIZE = 2048
Results = dict[str, Any]


def main() -> None:
    """Runs the benchmark."""
    arguments = _parse()
    check_torch(arguments.torch_python)
    try:
        for model in arguments.models:
            results: Results = {"model": model, "threads": arguments.threads, "clip": arguments.clip}
            if not arguments.no_speed:
                results["speed"] = measure_speed(model, arguments)
            if arguments.convolutions:
                results["convolutions"] = measure_convolutions(model, arguments)
            if arguments.memory:
                results["memory"] = measure_memory(model, arguments)
            print(json.dumps(results) if arguments.json else _tables(results), flush=True)
    except SideError as error:
        sys.exit(f"error: {error}; its own last words are above")


def quick(data: Path) -> list[Row]:
    """One network, one clip a step.

    Raises:
        LeftOutError: there is no PyTorch.
        SideError: a side ended.
    """
    del data  # clips are noise
    if importlib.util.find_spec("torchvision") is None:
        raise LeftOutError("needs PyTorch and torchvision, in the environment of make test-torch")
    speed = measure_speed("r3d_18", _parse(["--batch-size", "1", "--repeats", "4"]))
    ours, theirs = ([turn["wall"] for turn in speed["runs"][name]] for name in (KERAS, speed["faster"]))
    return [Row("a training step of r3d_18, one clip of 16 x 112 x 112", speed["faster"], ours, theirs, "s")]


def check_torch(python: Path) -> None:
    """Ends in one line where a Python is not there, or lacks what the other side needs."""
    find = "import importlib.util as u; print(*(n for n in ('torch', 'torchvision') if u.find_spec(n) is None))"
    try:
        missing = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: --torch-python: {error}")
    if missing:
        sys.exit(
            f"error: {python}: {' and '.join(missing)} not installed; use .venv-torch/bin/python, which make "
            "test-torch makes, or give a Python that has both by --torch-python"
        )


# ------------------------------------------------------------------------------------------------------ sides


def start_keras(model: str, arguments: argparse.Namespace, *, remat: bool = False) -> Side:
    """A process that trains this project's model."""
    shape = [str(size) for size in arguments.clip]
    command = [sys.executable, "training_step_keras.py", "--model", model, "--shape", *shape]
    return _start([*command, *(["--remat"] if remat else [])], arguments)


def start_torch(model: str, arguments: argparse.Namespace, *, channels_last: bool = False) -> Side:
    """A process that trains torchvision's."""
    command = [str(arguments.torch_python), "training_step_torch.py", "--model", model]
    return _start([*command, *(["--channels-last"] if channels_last else [])], arguments)


def _start(command: list[str], arguments: argparse.Namespace) -> Side:
    python, script, *options = command
    threads = str(arguments.threads)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": threads,
    }
    return Side([python, str(REPOSITORY / "benchmarks" / script), *options, "--threads", threads], environment)


# ------------------------------------------------------------------------------------------------ measurement


def measure_speed(model: str, arguments: argparse.Namespace) -> Results:
    """Seconds of a step of each side, by turns.

    Raises:
        SideError: a side ended, or the sides are not the same network.
    """
    batch = [arguments.batch_size, *arguments.clip, 3]
    with (
        start_torch(model, arguments) as first,
        start_torch(model, arguments, channels_last=True) as last,
        start_keras(model, arguments) as keras,
    ):
        sides = {KERAS: keras, FIRST: first, LAST: last}
        parameters = {name: side.ask("parameters") for name, side in sides.items()}
        if len(set(parameters.values())) > 1:
            raise SideError(f"{model}: not the same network: {parameters}")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        products = []
        flops = first.ask("flops", shape=batch)
        for _ in range(arguments.repeats):
            for name, side in sides.items():
                products.append(side.ask("matmul", size=MATRIX_SIZE, repeats=5)["wall"])
                runs[name] += side.ask("step", shape=batch, repeats=1)
    medians = {
        name: {clock: statistics.median(turn[clock] for turn in turns) for clock in ("wall", "cpu")}
        for name, turns in runs.items()
    }
    faster = min((FIRST, LAST), key=lambda name: medians[name]["wall"])
    ratios = [theirs["wall"] / ours["wall"] for theirs, ours in zip(runs[faster], runs[KERAS], strict=True)]
    return {
        "parameters": parameters[KERAS],
        "batch_size": arguments.batch_size,
        "seconds": medians,
        "runs": runs,
        "flops": flops,
        "peak": 2 * MATRIX_SIZE**3 / min(products),
        "faster": faster,
        "ratio": medians[faster]["wall"] / medians[KERAS]["wall"],
        "ratios": ratios,
    }


def measure_convolutions(model: str, arguments: argparse.Namespace) -> list[Results]:
    """Least seconds of every distinct convolution on both sides."""
    rows = []
    with start_torch(model, arguments) as torch, start_keras(model, arguments) as keras:
        for row in torch.ask("convolutions", shape=[arguments.batch_size, *arguments.clip, 3]):
            request = {name: value for name, value in row.items() if name != "count"}
            times = [side.ask("time_convolution", **request, repeats=arguments.repeats) for side in (keras, torch)]
            rows.append({**row, KERAS: times[0], FIRST: times[1]})
    return rows


def measure_memory(model: str, arguments: argparse.Namespace) -> list[Results]:
    """Peak of resident memory, in bytes, by batch size; a side that had not enough is None.

    Stops at the first size at which every side fails.
    """
    rows = []
    for batch_size in arguments.memory_batch_sizes:
        batch = [batch_size, *arguments.clip, 3]
        row: Results = {"batch_size": batch_size}
        for name, start, options in (
            (KERAS, start_keras, {}),
            ("remat", start_keras, {"remat": True}),
            (FIRST, start_torch, {}),
        ):
            with start(model, arguments, **options) as side:
                try:
                    row[name] = side.ask("memory", shape=batch)
                except SideError:
                    row[name] = None
        rows.append(row)
        if not any(row[name] for name in (KERAS, "remat", FIRST)):
            break
    return rows


# ----------------------------------------------------------------------------------------------------- tables


def _tables(results: Results) -> str:
    clip = " x ".join(str(size) for size in results["clip"])
    parts = [f"### {results['model']}, clips of {clip}, {results['threads']} threads"]
    if "speed" in results:
        parts.append(_speed_table(results["speed"]))
    if "convolutions" in results:
        parts.append(_convolutions_table(results["convolutions"]))
    if "memory" in results:
        parts.append(_memory_table(results["memory"]))
    return "\n\n".join(parts) + "\n"


def _speed_table(speed: Results) -> str:
    lines = [
        f"Batch {speed['batch_size']}, {speed['parameters']:,} parameters, {speed['flops'] / 1e9:.0f} GFLOP "
        f"a step; peak {speed['peak'] / 1e9:.0f} GFLOP/s.\n",
        "| | seconds a step | each turn | share of the peak | CPU seconds |",
        "|---|---|---|---|---|",
    ]
    for name, median in speed["seconds"].items():
        turns = ", ".join(f"{turn['wall']:.2f}" for turn in speed["runs"][name])
        share = speed["flops"] / median["wall"] / speed["peak"]
        lines.append(f"| {name} | {median['wall']:.2f} | {turns} | {share:.2f} | {median['cpu']:.2f} |")
    lines.append(
        f"\n**{speed['ratio']:.2f}** x the speed of {speed['faster']} (turns: {min(speed['ratios']):.2f} to "
        f"{max(speed['ratios']):.2f})."
    )
    return "\n".join(lines)


def _convolutions_table(rows: list[Results]) -> str:
    lines = [
        "Milliseconds (CPU milliseconds) of one convolution, forward, and forward with both gradients.\n",
        "| input | kernel, strides | times | forward | PyTorch | all | PyTorch | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shape = " x ".join(str(size) for size in row["shape"])
        kernel = " x ".join(str(size) for size in (*row["kernel_size"], row["filters"]))
        strides = " x ".join(str(size) for size in row["strides"])
        cells = [
            f"{row[side][part]['wall'] * 1e3:.0f} ({row[side][part]['cpu'] * 1e3:.0f})"
            for part in ("forward", "both")
            for side in (KERAS, FIRST)
        ]
        ratio = row[FIRST]["both"]["wall"] / row[KERAS]["both"]["wall"]
        lines.append(f"| {shape} | {kernel}, {strides} | {row['count']} | {' | '.join(cells)} | {ratio:.2f} |")
    return "\n".join(lines)


def _memory_table(rows: list[Results]) -> str:
    lines = [
        "Peak memory of training above a built model, MB.\n",
        "| batch | this project | with `remat` | of it | PyTorch | this project to PyTorch |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ours, remat, theirs = row[KERAS], row["remat"], row[FIRST]
        cells = [
            *(_megabytes(value) for value in (ours, remat)),
            _quotient(remat, ours),
            _megabytes(theirs),
            _quotient(ours, theirs),
        ]
        lines.append(f"| {row['batch_size']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _megabytes(value: int | None) -> str:
    return "not enough" if value is None else f"{value / 1e6:,.0f}"


def _quotient(upper: int | None, lower: int | None) -> str:
    return "" if upper is None or lower is None else f"{upper / lower:.2f}"


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="+", default=["r3d_18", "r2plus1d_18"], metavar="NAME", help="(default: both)"
    )
    parser.add_argument("--batch-size", type=int, default=4, metavar="N", help="clips a step (default: 4)")
    parser.add_argument("--frames", type=int, default=16, metavar="N", help="of a clip (default: 16)")
    parser.add_argument("--size", type=int, default=112, metavar="N", help="pixels a side (default: 112)")
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), metavar="N", help="of each side"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="turns (default: 5)")
    parser.add_argument(
        "--torch-python",
        type=Path,
        default=Path(sys.executable),
        metavar="FILE",
        help="a Python that has torch and torchvision (default: this one)",
    )
    parser.add_argument("--memory", action="store_true", help="measure peak memory too (Linux)")
    parser.add_argument(
        "--memory-batch-sizes", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N", help="(default: 1 2 4 8)"
    )
    parser.add_argument("--convolutions", action="store_true", help="time each convolution too")
    parser.add_argument("--no-speed", action="store_true", help="leave the speed of whole steps out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    chosen.clip = [chosen.frames, chosen.size, chosen.size]
    return chosen


if __name__ == "__main__":
    main()
