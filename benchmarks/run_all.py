"""All benchmarks in their quick forms, as one table of ratios: this project beside a reference in the same run.

    python benchmarks/run_all.py
    python benchmarks/run_all.py --only keypoint_latency import_speed
    python benchmarks/run_all.py --list

Each takes about a minute on two cores with nothing else to do, in a process of its own; what several need is made
once, of rendered signers, and kept in ``--data``. Writes ``benchmarks.md`` and ``benchmarks.json`` into
``--output``, and says which rows got worse since the file that was there by more than their turns differ. With
``--only`` nothing is written. A benchmark that fails is a row that says so, and the status is 1.

Comparisons with PyTorch and Apache Beam need the environments of ``make test-torch`` and ``make test-beam``;
without them their rows say so.
"""

import argparse
import datetime
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows import Row, worse_rows

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
VERSIONS_OF = ("tensorflow", "keras", "numpy", "mediapipe", "av", "ai-edge-litert")
LIMIT_SECONDS = 600.0  # the first one makes the sample data, too
Results = dict[str, Any]

PREFACE = """\
# Benchmarks

`make benchmarks` runs every benchmark in a quick form, writes this page, and says which rows got worse since the
last `benchmarks.json`. {facts}.

Both sides of a row took turns in the same run: figures are medians of the turns, the ratio is this project's to
the reference's, in brackets the lowest and the highest of a turn. Below 1 this project takes less; where more is
better, the row says so. Quick forms are small: the command in the last column gives the figures to cite. The load
average is of the minute before, in which the benchmark in front of it ran: far above 2, other work disturbed them.
"""


@dataclass(frozen=True)
class Benchmark:
    """What runs, and how.

    Attributes:
        long_form: the command whose figures to cite.
        module: has ``quick``; by default of the benchmark's name.
        environment: folder in the repository whose Python runs it, where it is there.
    """

    long_form: str
    module: str | None = None
    environment: str = ""


BENCHMARKS = {
    "convert_speed": Benchmark("python benchmarks/convert_speed.py --num-clips 60 --repeats 2"),
    "runner_speed": Benchmark(
        ".venv-beam/bin/python benchmarks/runner_speed.py --num-clips 128 --repeats 3", environment=".venv-beam"
    ),
    "import_speed": Benchmark("python benchmarks/import_speed.py --sequences 400 --repeats 5"),
    "read_speed": Benchmark("python benchmarks/read_speed.py --repeats 3 --seconds 4", environment=".venv-torch"),
    "input_wait": Benchmark(
        "python benchmarks/input_wait.py --config configs/mp_words_conv_transformer.yaml", "input_wait_quick"
    ),
    "training_step": Benchmark(
        ".venv-torch/bin/python benchmarks/training_step.py --memory", environment=".venv-torch"
    ),
    "workers_speed": Benchmark("python benchmarks/workers_speed.py"),
    "step_profile": Benchmark("python benchmarks/step_profile.py --model r3d_18"),
    "exports": Benchmark(
        "python benchmarks/exports.py --run runs/cnn_lstm --test data/synthetic_words/records:test"
    ),
    "keypoint_latency": Benchmark("python benchmarks/keypoint_latency.py --rounds 30"),
    "keypoint_truth": Benchmark(
        "python benchmarks/keypoint_truth.py --input data/synthetic_words/videos --clips 60"
    ),
    "rested_signs": Benchmark("python benchmarks/rested_signs.py --output data/rested --signers 1 5 26 31"),
    "stream_events": Benchmark(
        "python benchmarks/stream_events.py --model runs/keypoint_conv_transformer --input data/rested"
    ),
    "stream_step": Benchmark("python benchmarks/stream_step.py --rounds 20"),
    "serve_load": Benchmark("python benchmarks/serve_load.py --seconds 60"),
}


def main(
    arguments: Sequence[str] | None = None, benchmarks: Mapping[str, Benchmark] = BENCHMARKS, modules: Path = HERE
) -> int:
    """Runs the command.

    Args:
        arguments: of the command line.
        benchmarks: to choose from, by name.
        modules: the folder of their files.

    Returns:
        The exit status: 1 where one failed.
    """
    chosen = _parse(arguments, benchmarks)
    if chosen.list:
        for name, benchmark in benchmarks.items():
            print(f"{name:18}{benchmark.long_form}")
        return 0
    names = [name for name in benchmarks if not chosen.only or name in chosen.only]
    results: Results = {**describe_machine(), "benchmarks": {}}
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        found = measure(name, benchmarks[name], chosen.data, modules)
        results["benchmarks"][name] = found
        print("\n".join(f"  {line}" for line in describe(found)), flush=True)
    table, former = chosen.output / "benchmarks.md", chosen.output / "benchmarks.json"
    if former.exists():
        worse = list(worse_rows(results, json.loads(former.read_text(encoding="utf-8"))))
        print("\n".join(["worse than before:", *worse]) if worse else f"nothing worse than in {former}")
    if chosen.only:
        print(format_page(results))
    else:
        chosen.output.mkdir(parents=True, exist_ok=True)
        table.write_text(format_page(results), encoding="utf-8")
        former.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"written: {table}, {former}")
    return int(any("error" in found for found in results["benchmarks"].values()))


# ------------------------------------------------------------------------------------------------ measurement


def measure(name: str, benchmark: Benchmark, data: Path, modules: Path) -> Results:
    """A benchmark's rows, or its ``error``, or why it was ``left_out``; with its seconds, and the load before."""
    python = REPOSITORY / benchmark.environment / "bin" / "python"
    interpreter = python if benchmark.environment and python.exists() else sys.executable
    found: Results = {"long_form": benchmark.long_form, "load": os.getloadavg()[0], "rows": []}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "rows.json"
        module = benchmark.module or name
        command = [interpreter, HERE / "quick.py", module, data.resolve(), output]
        paths = os.pathsep.join(map(str, (modules, HERE, REPOSITORY)))
        status, last_words = _run(command, os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"})
        if status == 0 and output.exists():
            found |= json.loads(output.read_text(encoding="utf-8"))
        else:
            found["error"] = last_words or f"ended with status {status}"
    return found | {"seconds": round(time.monotonic() - start, 1)}


def _run(command: Sequence[object], environment: dict[str, str]) -> tuple[int, str]:
    """Status of a process and the last line that names an error; it ends with all that it started."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=REPOSITORY,
            env=environment,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
        try:
            status = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return -1, f"took longer than {LIMIT_SECONDS:.0f} s"
        finally:
            _end_group(process)
        words.seek(0)
        lines = [line.strip() for line in words if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]  # warnings may come after what was wrong
    return status, (errors or lines or [""])[-1]


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ends what is left of a process and of those that it started; also where the user interrupts."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def describe_machine() -> Results:
    """Date, machine, versions and commit."""
    from tfrecords_tools.dataset_info import installed_versions

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    git = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(git, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory / 2**30),
            "platform": platform.platform(),
        },
        "versions": {"python": platform.python_version(), **installed_versions(VERSIONS_OF)},
        "commit": commit,
    }


def _processor() -> str:
    """Its name as Linux has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# ------------------------------------------------------------------------------------------------------ tables


def describe(found: Results) -> list[str]:
    """Lines for the terminal."""
    if "error" in found:
        return [f"failed after {found['seconds']} s: {found['error']}"]
    if "left_out" in found:
        return [f"left out: {found['left_out']}"]
    rows = [Row.from_json(row) for row in found["rows"]]
    return [f"{row.ratio():.3g}: {row.what}, against {row.reference}" for row in rows] + [f"{found['seconds']} s"]


def format_page(results: Results) -> str:
    """The page, in Markdown."""
    machine, versions = results["machine"], results["versions"]
    loads = [found["load"] for found in results["benchmarks"].values()]
    facts = [
        results["date"],
        machine["processor"],
        f"{machine['cores']} cores",
        f"{machine['memory_gib']} GiB of memory",
        f"load average before each benchmark {min(loads):.1f} to {max(loads):.1f}",
        f"commit {results['commit']}",
        *(f"{name} {version}" for name, version in versions.items()),
    ]
    lines = [
        PREFACE.format(facts=", ".join(facts)),
        "| | this project | reference | ratio (turns) | long form |",
        "|---|---|---|---|---|",
    ]
    for name, found in results["benchmarks"].items():
        command = f"`{found['long_form']}`"
        if not found["rows"]:
            why = f"**failed**: {found['error']}" if "error" in found else f"left out: {found['left_out']}"
            lines.append(f"| {name} | {_cell(why)} | | | {command} |")
        lines += [_line(Row.from_json(row), command) for row in found["rows"]]
    return "\n".join(lines) + "\n"


def _line(row: Row, command: str) -> str:
    ours, theirs = (_figure(values) for values in (row.ours, row.theirs))
    low, high = row.spread()
    turns = f" ({low:.3g} to {high:.3g})" if len(row.ours) > 1 else ""
    more = ", more is better" if row.better == "higher" else ""
    cells = [
        _cell(row.what),
        f"{ours} {row.unit}",
        _cell(f"{theirs} {row.unit}: {row.reference}"),
        f"**{row.ratio():.3g}**{turns}{more}",
        command,
    ]
    return f"| {' | '.join(cells)} |"


def _figure(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:,.0f}" if middle >= 1000 else f"{middle:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _parse(arguments: Sequence[str] | None, benchmarks: Mapping[str, Benchmark]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(benchmarks), metavar="NAME", help="run these alone")
    parser.add_argument("--list", action="store_true", help="name the benchmarks with their long forms, and end")
    parser.add_argument(
        "--data",
        type=Path,
        default=REPOSITORY / "data" / "benchmarks",
        metavar="DIR",
        help="where sample data are kept (default: data/benchmarks)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=REPOSITORY / "docs",
        metavar="DIR",
        help="for benchmarks.md and benchmarks.json (default: docs)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
