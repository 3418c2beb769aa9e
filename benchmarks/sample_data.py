"""What the quick forms of several benchmarks need: rendered clips, their records, and small trained runs.

Made when first asked for, and kept in a folder, where they are found again. Six rendered people sign six made-up
glosses: enough to measure speed with, and too little for scores to mean anything.
"""

import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGS = REPOSITORY / "configs"
NUM_SIGNERS = NUM_GLOSSES = 6
SEED = 2027


def videos(data: Path) -> Path:
    """36 clips with the truth of their joints, as ``tfrecords_tools.synthesize`` lays them out."""
    folder = data / "words" / "videos"
    if not (folder / "manifest.csv").exists():
        _run(
            "tfrecords_tools.synthesize",
            *("--output", folder, "--signers", NUM_SIGNERS, "--num-glosses", NUM_GLOSSES),
            *("--clips-per-gloss", 1, "--seed", SEED),
        )
    return folder


def records(data: Path) -> Path:
    """The clips as ``configs/cnn_lstm.yaml`` has them: frames around the hands, and keypoints."""
    folder = data / "words" / "records"
    if not (folder / "dataset_info.json").exists():
        _run(
            "tfrecords_tools.convert",
            *("--source", "synthetic", "--input", videos(data), "--output", folder),
            *("--set", "short_side=112", "--set", "crop.mode=hands", "--set", "crop.margin=0.25"),
        )
    return folder


def run(data: Path, name: str, epochs: int) -> Path:
    """A configuration's model, trained on the records for some epochs."""
    folder = data / "runs" / f"{name}_{epochs}"
    if not (folder / "metrics.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(
            "sign_keras.train",
            *("--config", CONFIGS / f"{name}.yaml", "--run-dir", folder),
            *("--set", f"records.directory={records(data)}", "--set", "records.prepare=null"),
            *("--set", f"train.epochs={epochs}", "--set", "train.batch_size=8", "--set", "export.formats=[]"),
        )
    return folder


def _run(module: str, *arguments: object) -> None:
    """Runs a command as a user does; its last words go where this process's go."""
    print(f"  making sample data: python -m {module}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=True)
