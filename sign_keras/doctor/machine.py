"""The machine: libraries, codecs, cameras, GPUs, room, weights, network."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from sign_keras.doctor.findings import Finding

GIB = 2**30
IMPORT_SECONDS = 180
NETWORK_SECONDS = 3
# Where keras.applications and KerasHub have their weights.
WEIGHTS_HOST = "storage.googleapis.com"
WEIGHTS = Path(__file__).parents[1] / "models" / "weights"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
DECODERS = ("h264", "hevc", "vp9", "av1")
ENCODER = "libx264"
# MediaPipe without TensorFlow, as tfrecords_tools.keypoints loads it; TensorFlow, and the GPUs that it sees.
IMPORTS = {
    "OpenCV": "import cv2",
    "MediaPipe": (
        "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'jax', 'jaxlib'])); import mediapipe; "
        "mediapipe.solutions.holistic"
    ),
    "TensorFlow": "import tensorflow as tf; print('GPUs', len(tf.config.list_physical_devices('GPU')))",
}


def look_at_machine(folder: Path = Path(".")) -> list[Finding]:
    """Of everything that is not a Python package.

    Args:
        folder: where records and runs are to go.
    """
    return [
        *opengl(),
        *codecs(),
        *imports(),
        *cameras(sorted(Path("/dev").glob("video*"))),
        *room(shutil.disk_usage(folder).free, _memory()),
        *shipped_weights(WEIGHTS),
        network(WEIGHTS_HOST),
    ]


def opengl(library: str = "libGL.so.1") -> list[Finding]:
    """Whether OpenCV, and so MediaPipe, can be loaded; a matter of Linux alone."""
    if not sys.platform.startswith("linux"):
        return []
    try:
        ctypes.CDLL(library)
    except OSError:
        return [
            Finding(
                "problem",
                f"{library} is missing: OpenCV and MediaPipe cannot be loaded",
                "apt-get install libgl1 (Debian, Ubuntu) or dnf install mesa-libGL (Fedora)",
            )
        ]
    return [Finding("ok", library)]


def codecs() -> list[Finding]:
    """Whether the videos that people have can be decoded, and those that are rendered written."""
    try:
        import av
    except ImportError as error:
        return [
            Finding("problem", f"PyAV cannot be loaded ({error})", "pip install --constraint constraints.txt av")
        ]

    def has(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            av.Codec(name, mode)
        except av.codec.codec.UnknownCodecError:
            return False
        return True

    lacking = [name for name in DECODERS if not has(name, "r")] + [name for name in [ENCODER] if not has(name, "w")]
    if lacking:
        return [
            Finding(
                "problem",
                f"PyAV {av.__version__} lacks codecs: {', '.join(lacking)}",
                "install its wheel, which has them, in place of one built here: pip install --force-reinstall "
                "--only-binary av --constraint constraints.txt av",
            )
        ]
    return [Finding("ok", f"codecs: {', '.join(DECODERS)} to read, {ENCODER} to write")]


def imports() -> list[Finding]:
    """Whether the large packages can be loaded, each in a process of its own; and what GPUs TensorFlow sees."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name, code in IMPORTS.items()
    }
    findings = []
    for name, process in started.items():
        try:
            output, errors = process.communicate(timeout=IMPORT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            findings.append(
                Finding("problem", f"{name} is not loaded after {IMPORT_SECONDS} s", "is the disk slow?")
            )
            continue
        findings.append(imported(name, process.returncode, errors))
        if name == "TensorFlow" and not process.returncode:
            findings.append(gpus(int(output.split()[-1]), _nvidia_gpus()))
    return findings


def imported(name: str, status: int, errors: str) -> Finding:
    """What came of loading a package.

    Args:
        name: of the package.
        status: of the process; negative: minus the signal that ended it.
        errors: what it said.
    """
    if not status:
        return Finding("ok", f"{name} can be loaded")
    if status == -signal.SIGILL:
        return Finding(
            "problem",
            f"{name} ends with an illegal instruction: this processor lacks some (AVX) that its wheels use",
            "use another machine, or build it for this one",
        )
    if status < 0:
        return Finding("problem", f"{name} was ended by signal {signal.Signals(-status).name} while being loaded")
    reason = (errors.strip().splitlines() or ["no reason given"])[-1]
    return Finding(
        "problem", f"{name} cannot be loaded: {reason}", "make environment in a fresh folder has a set that works"
    )


def gpus(seen: int, there: Sequence[str]) -> Finding:
    """GPUs that TensorFlow sees, and those that the driver names."""
    if seen:
        return Finding("ok", f"{seen} GPU(s) seen by TensorFlow{': ' + ', '.join(there) if there else ''}")
    if there:
        return Finding(
            "problem",
            f"the driver has {', '.join(there)}, and TensorFlow sees no GPU",
            "pip install --constraint constraints.txt 'tensorflow[and-cuda]'; then look again",
        )
    return Finding(
        "note",
        f"no GPU: trainings use {os.cpu_count()} CPU cores",
        "the shipped configurations train on CPUs in minutes; networks from frames of real videos want a GPU",
    )


def _nvidia_gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    found = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True
    )
    return [line.strip() for line in found.stdout.splitlines() if line.strip()] if not found.returncode else []


def cameras(devices: Sequence[Path]) -> list[Finding]:
    """Cameras of a Linux machine, and whether this user may use them."""
    if not sys.platform.startswith("linux"):
        return []
    if not devices:
        return [
            Finding(
                "note",
                "no camera",
                "demo and record take a file by --video; a phone's camera works through sign_keras.serve",
            )
        ]
    refused = [str(path) for path in devices if not os.access(path, os.R_OK | os.W_OK)]
    if refused:
        return [
            Finding(
                "problem",
                f"{', '.join(refused)}: there, but this user may not use it",
                "sudo usermod --append --groups video $USER, then log in anew",
            )
        ]
    return [Finding("ok", f"cameras: {', '.join(str(path) for path in devices)}")]


def room(disk: int, memory: int) -> list[Finding]:
    """Room on the disk and in memory.

    Args:
        disk: free bytes.
        memory: bytes of the machine; 0: not known.
    """
    free = f"{disk / GIB:.1f} GiB free on this disk"
    findings = [Finding("ok", free)]
    if disk < GIB:
        findings = [
            Finding("problem", free, "records and checkpoints need room: free some, or work on another disk")
        ]
    elif disk < 10 * GIB:
        findings = [Finding("note", free, "enough for the examples; records of large datasets take tens of GiB")]
    if memory:
        there = f"{memory / GIB:.1f} GiB of memory"
        few = memory < 4 * GIB
        fix = (
            "a training of frames wants 4: lower train.batch_size (and raise train.accumulate_steps)" if few else ""
        )
        findings.append(Finding("note" if few else "ok", there, fix))
    return findings


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not on Windows
        return 0


def shipped_weights(folder: Path) -> list[Finding]:
    """Whether the pre-trained backbones that come with the package are there and whole."""
    files = sorted(folder.glob("*.weights.h5"))
    broken = [path.name for path in files if not _is_hdf5(path)]
    if not files or broken:
        found = f"{', '.join(broken)} in {folder}: no weights" if broken else f"{folder}: no weights there"
        return [Finding("problem", found, "git checkout -- sign_keras/models/weights, or install the package anew")]
    return [Finding("ok", f"weights that come with it: {', '.join(path.name for path in files)}")]


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def network(host: str) -> Finding:
    """Whether weights that do not come with the package can be had."""
    try:
        socket.create_connection((host, 443), timeout=NETWORK_SECONDS).close()
    except OSError as error:
        return Finding(
            "note",
            f"{host} cannot be reached ({error})",
            "only backbone_weights: imagenet and KerasHub's presets need it, once; all else works without it",
        )
    return Finding("ok", f"{host} can be reached, which has ImageNet's weights")
