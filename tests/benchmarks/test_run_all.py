import json
import os
import time
from pathlib import Path

import pytest
import run_all
from run_all import BENCHMARKS, HERE, Benchmark, main

# What a benchmark can do, each in a few lines.
FAKES = {
    "steady": """
        return [Row("reading", "a plain | loop", [0.5, 0.7], [1.0, 1.0], "s")]""",
    "rising": """
        (data / "calls").open("a").write("x")
        return [Row("writing", "a goal", [len((data / "calls").read_text()) * 1.0], [2.0], "ms", "higher")]""",
    "broken": """
        print("a line before", flush=True)
        raise RuntimeError("error: the clips are gone")""",
    "missing": """
        raise LeftOutError("needs a harp")""",
    "endless": """
        child = subprocess.Popen(["sleep", "600"])
        (data / "child").write_text(str(child.pid))
        time.sleep(600)""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in FAKES.items():
        text = f"import subprocess, time\nfrom rows import LeftOutError, Row\ndef quick(data):{body}\n"
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "data").mkdir()
    return tmp_path


def run(folder: Path, *options: str, names: tuple[str, ...] = ("steady", "rising", "broken", "missing")) -> int:
    benchmarks = {name: Benchmark(f"python {name}.py --long") for name in names}
    arguments = [*options, "--data", str(folder / "data"), "--output", str(folder / "docs")]
    return main(arguments, benchmarks, folder)


def test_a_failure_is_a_row_and_the_others_still_run(folder, capsys):
    assert run(folder) == 1
    page = (folder / "docs" / "benchmarks.md").read_text()
    assert "| reading | 0.6 s | 1 s: a plain \\| loop | **0.6** (0.5 to 0.7) | `python steady.py --long` |" in page
    assert "| writing | 1 ms | 2 ms: a goal | **0.5**, more is better | `python rising.py --long` |" in page
    assert "| broken | **failed**: RuntimeError: error: the clips are gone | | |" in page
    assert "| missing | left out: needs a harp | | | `python missing.py --long` |" in page
    assert "[3/4] broken" in capsys.readouterr().out
    written = json.loads((folder / "docs" / "benchmarks.json").read_text())
    assert written["benchmarks"]["steady"]["rows"][0]["spread"] == [0.5, 0.7]
    assert written["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert written["versions"]["numpy"] in page


def test_figures_are_plain_numbers():
    assert [run_all._figure(values) for values in ([4818.2], [0.05581], [1, 3, 2])] == ["4,818", "0.0558", "2"]


def test_what_is_left_out_is_no_failure(folder):
    assert run(folder, names=("steady", "missing")) == 0


def test_rows_that_got_worse_are_named(folder, capsys):
    former = folder / "docs" / "benchmarks.json"
    assert run(folder, names=("steady", "rising")) == 0
    assert "worse than" not in capsys.readouterr().out
    run(folder, names=("steady", "rising"))  # more is better, and it rose
    assert f"nothing worse than in {former}" in capsys.readouterr().out
    (folder / "data" / "calls").unlink()
    run(folder, names=("steady", "rising"))
    out = capsys.readouterr().out
    assert "rising: writing: 0.5 of a goal, 1 on" in out
    assert "50% worse" in out


def test_some_alone_are_printed_and_not_written(folder, capsys):
    assert run(folder, "--only", "steady") == 0
    assert "**0.6** (0.5 to 0.7)" in capsys.readouterr().out
    assert not (folder / "docs").exists()


def test_one_that_does_not_end_is_ended_with_all_that_it_started(folder, monkeypatch, capsys):
    monkeypatch.setattr(run_all, "LIMIT_SECONDS", 1.5)
    assert run(folder, names=("endless", "steady")) == 1
    assert "failed after" in capsys.readouterr().out
    child = Path("/proc") / (folder / "data" / "child").read_text()
    deadline = time.monotonic() + 5
    while child.exists() and "Z" not in (child / "stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_unknown_names_are_refused(folder):
    with pytest.raises(SystemExit, match="2"):
        run(folder, "--only", "harp")


def test_every_benchmark_is_in_the_list_and_has_a_quick_form(capsys):
    assert main(["--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    # Sides of other benchmarks, and what the scripts share.
    others = {"training_step_keras", "training_step_torch", "input_wait_quick", "side", "rows", "quick"}
    assert listed == {path.stem for path in HERE.glob("*.py")} - others - {"sample_data", "run_all"}
    for name, benchmark in BENCHMARKS.items():
        assert "def quick(data: Path) -> list[Row]:" in (HERE / f"{benchmark.module or name}.py").read_text()
        assert name in benchmark.long_form


@pytest.mark.slow
def test_the_cheapest_real_one_runs(tmp_path, capsys):
    assert main(["--only", "rested_signs", "--data", str(tmp_path), "--output", str(tmp_path)]) == 0
    assert "| rendering a signer of 256 pixels, 20 frames/s | " in capsys.readouterr().out
