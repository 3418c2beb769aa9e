"""``export_run``: writes candidates aside, compares each with the run, and gives them their names when all passed.

Light to import: what needs TensorFlow is imported when the work begins.
"""

import datetime
import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import loky
from tqdm import tqdm

from tfrecords_tools.command_line import UserError

if TYPE_CHECKING:
    import numpy as np

    from sign_keras.data.dataset import Records
    from sign_keras.export.parity import GoldenClips
    from sign_keras.inference.artefact import RunArtefact
    from sign_keras.run import Run

FORMATS = ("savedmodel", "tflite")
QUANTIZATIONS = ("none", "float16", "dynamic")
FOLDERS = {"savedmodel": "savedmodels", "tflite": "tflite"}


@dataclass(frozen=True)
class Target:
    """One export to make.

    Attributes:
        format: of ``FORMATS``.
        quantization: of ``QUANTIZATIONS``; ``none`` for a SavedModel.
        path: where it goes, below the output directory.
    """

    format: str
    quantization: str
    path: Path

    @property
    def report_path(self) -> Path:
        """Its ``.json``, beside it."""
        return self.path.with_name(self.path.name.removesuffix(".tflite") + ".json")


def export_run(
    run: "Run",
    formats: Sequence[str],
    quantization: Sequence[str] = ("none",),
    *,
    records: "Records | None" = None,
    output_dir: Path = Path("."),
    progress: bool = True,
) -> list[Path]:
    """Exports a run's best epoch, in float32 whatever the precision it was trained at.

    Writes ``savedmodels/NAME/`` and ``tflite/NAME[_quantization].tflite``, with a ``.json`` beside each: parity,
    ops, size, latency. Exports of the same name are replaced, all of them or none.

    Args:
        run: the training.
        formats: any of ``FORMATS``.
        quantization: of the TFLite files; any of ``QUANTIZATIONS``.
        records: opened with the run's sampling and inputs; their validation clips are the golden ones.
        output_dir: where ``savedmodels`` and ``tflite`` are.
        progress: whether to show a bar where there is a terminal.

    Returns:
        What was written, reports left out.

    Raises:
        UserError: an export cannot be made, or a float32 one differs from the run by more than the configuration's
            ``export.max_probability_difference``; nothing is written then.
    """
    targets = plan(run.config.name, formats, quantization)
    output_dir.mkdir(parents=True, exist_ok=True)

    import tensorflow as tf

    from sign_keras.export.parity import golden_clips
    from sign_keras.inference.artefact import RunArtefact

    # On the CPU, where everyone can repeat it: GPUs round convolutions to fewer bits than the gate allows.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=output_dir) as scratch, tf.device("/CPU:0"):
        reference = RunArtefact(run)
        golden = golden_clips(reference.model, records)
        expected = reference.probabilities(golden.inputs)
        _write_candidates(targets, Path(scratch), reference)
        for target in tqdm(targets, desc="checking exports", disable=None if progress else True):
            _check_candidate(target, Path(scratch), run, golden, expected)
        for target in targets:
            _publish(target, Path(scratch), output_dir)
    return [output_dir / target.path for target in targets]


def plan(name: str, formats: Sequence[str], quantization: Sequence[str]) -> list[Target]:
    """The exports that formats and quantizations stand for, each once.

    Raises:
        UserError: a format or quantization is not known, or there is none.
    """
    for given, known in ((formats, FORMATS), (quantization, QUANTIZATIONS)):
        unknown = [item for item in given if item not in known]
        if unknown or not given:
            raise UserError(f"export: expected any of {', '.join(known)} (found {', '.join(unknown) or 'none'})")
    targets = []
    if "savedmodel" in formats:
        targets.append(Target("savedmodel", "none", Path(FOLDERS["savedmodel"]) / name))
    if "tflite" in formats:
        for kind in dict.fromkeys(quantization):
            suffix = "" if kind == "none" else f"_{kind}"
            targets.append(Target("tflite", kind, Path(FOLDERS["tflite"]) / f"{name}{suffix}.tflite"))
    return targets


def _write_candidates(targets: Sequence[Target], scratch: Path, reference: "RunArtefact") -> None:
    """Writes every export below ``scratch``, each with its description inside."""
    from sign_keras.export.saved_model import write_saved_model
    from sign_keras.inference.info import add_to_saved_model, add_to_tflite

    for target in targets:
        (scratch / target.path).parent.mkdir(exist_ok=True)
        if target.format == "savedmodel":
            write_saved_model(reference.model, scratch / target.path, step_model=reference.step_model)
            add_to_saved_model(scratch / target.path, reference.info)
    files = {target.quantization: scratch / target.path for target in targets if target.format == "tflite"}
    if files:
        from sign_keras.export.tflite import write_tflite

        write_tflite(reference.model, files, reference.step_model)
        for path in files.values():
            add_to_tflite(path, reference.info)


def _check_candidate(
    target: Target, scratch: Path, run: "Run", golden: "GoldenClips", expected: "np.ndarray"
) -> None:
    """Compares, measures, and writes the report; loads the export as its users will."""
    from sign_keras.export.parity import check, compare, compare_streamed, latency_ms, step_latency_ms
    from sign_keras.export.saved_model import count_graph_ops
    from sign_keras.export.tflite import count_ops
    from sign_keras.inference.artefact import TFLiteArtefact, load_artefact
    from sign_keras.run import describe_environment

    path = scratch / target.path
    artefact = load_artefact(path)
    parity = compare(expected, artefact, golden)
    limit = run.config.export.max_probability_difference
    if target.quantization == "none":
        check(parity, limit, str(target.path))
    latency = {"all_threads": latency_ms(artefact, golden)}
    if artefact.streams:
        streamed = compare_streamed(expected, artefact, golden)
        if target.quantization == "none":
            check(streamed, limit, f"{target.path}, frame by frame")
        latency["step"] = step_latency_ms(artefact, golden)
    if target.format == "tflite":
        alone = TFLiteArtefact(path, num_threads=1)
        latency["one_thread"] = latency_ms(alone, golden)
        if alone.streams:
            latency["step_one_thread"] = step_latency_ms(alone, golden)
    environment = describe_environment()
    report = {
        "name": run.config.name,
        "file": target.path.name,
        "format": target.format,
        "quantization": target.quantization,
        "size_bytes": _size(path),
        "inputs": {name: [str(clip.dtype), *clip.shape[1:]] for name, clip in golden.inputs.items()},
        "parity": parity.model_dump(),
        "parity_of_step": streamed.model_dump() if artefact.streams else None,
        "parity_limit": limit if target.quantization == "none" else None,
        "latency_ms": latency,
        "threads": loky.cpu_count(),
        "ops": count_ops(path) if target.format == "tflite" else count_graph_ops(path),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": environment["processor"], "platform": platform.platform()},
        "versions": environment["versions"],
        "commit": environment["commit"],
    }
    (scratch / target.report_path).write_text(json.dumps(report, indent=1), encoding="utf-8")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*"))


def _publish(target: Target, scratch: Path, output_dir: Path) -> None:
    """Moves an export and its report to their places; the report last, so that it never outruns the export."""
    (output_dir / target.path).parent.mkdir(parents=True, exist_ok=True)
    for path in (target.path, target.report_path):
        if (output_dir / path).is_dir():  # a directory cannot be renamed over: the old one goes with the scratch
            (output_dir / path).rename(scratch / f"old-{path.name}")
        (scratch / path).replace(output_dir / path)
