"""``input_wait.py`` on the sample records: the quick form of ``run_all.py``."""

import re
import subprocess
import sys
from pathlib import Path

import sample_data
from rows import Row


def quick(data: Path) -> list[Row]:
    """Frames that are decoded and augmented, one clip a step."""
    command = [
        *(sys.executable, sample_data.REPOSITORY / "benchmarks" / "input_wait.py"),
        *("--config", sample_data.CONFIGS / "cnn_lstm.yaml", "--set", "records.prepare=null"),
        *("--set", f"records.directory={sample_data.records(data)}", "--set", "train.batch_size=1"),
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    figures = re.search(r"steps in ([\d.]+) s, ([\d.]+) s of them waiting", done.stdout)
    if done.returncode or figures is None or not float(figures[1]):
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise RuntimeError(f"error: input_wait.py: {lines[-1] if lines else 'says nothing'}")
    return [
        Row("waiting for a batch, cnn_lstm", "its training steps", [float(figures[2])], [float(figures[1])], "s")
    ]
