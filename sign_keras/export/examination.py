"""Compares an export with its run, measures it, and writes down what was found; loads it as its users will."""

import datetime
import json
import platform
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import loky

from sign_keras.export.parity import (
    check,
    compare,
    compare_streamed,
    golden_clips,
    latency_by_length_ms,
    latency_ms,
    step_latency_ms,
)
from sign_keras.export.targets import FROM_RECORDS, Target
from sign_keras.export.validation import Answers, check_quantized, compare_answers, validation_answers
from sign_keras.inference.artefact import Artefact, DamagedError
from sign_keras.inference.loading import load_artefact
from sign_keras.inference.onnx_artefact import OnnxArtefact
from sign_keras.inference.run_artefact import RunArtefact
from sign_keras.inference.tflite_artefact import TFLiteArtefact
from sign_keras.run import Run, describe_environment
from tfrecords_tools.command_line import UserError

if TYPE_CHECKING:
    from sign_keras.data.dataset import Records


class Examination:
    """What exports of a run have to pass, and their reports.

    Args:
        run: the training.
        reference: the same, loaded.
        records: see ``export_run``; without them nothing is said about accuracy.
    """

    def __init__(self, run: Run, reference: RunArtefact, records: "Records | None") -> None:
        self.run, self.config = run, run.config.export
        self.golden = golden_clips(reference.model, records)
        self.expected = reference.probabilities(self.golden.inputs)
        self.records = records if records is not None and records.num_clips("validation") else None
        self.answers = None if self.records is None else self._answers(reference, self.records)

    def _answers(self, artefact: Artefact, records: "Records") -> Answers:
        return validation_answers(artefact, records, self.config.validation_clips)

    def examine(self, target: Target, scratch: Path, fine_tuning: dict[str, Any] | None = None) -> None:
        """Writes the report of an export below ``scratch``.

        Args:
            target: the export.
            scratch: where it is.
            fine_tuning: what the report is to say of that.

        Raises:
            UserError: it does not pass.
        """
        path = scratch / target.path
        artefact = _load(path, target)
        is_exact = target.quantization == "none"
        limit = self.config.max_probability_difference if is_exact else None
        parity = compare(self.expected, artefact, self.golden)
        check(parity, limit, str(target.path))
        streamed = compare_streamed(self.expected, artefact, self.golden) if artefact.streams else None
        if streamed is not None:
            check(streamed, limit, f"{target.path}, frame by frame")
        validation = None
        if self.records is not None and self.answers is not None:
            validation = compare_answers(self.answers, self._answers(artefact, self.records))
            if not is_exact:
                check_quantized(validation, self.config, str(target.path))
        environment = describe_environment()
        report = {
            "name": self.run.config.name,
            "file": target.path.name,
            "format": target.format,
            "quantization": target.quantization,
            "size_bytes": sum(_size(scratch / part) for part in target.paths if (scratch / part).exists()),
            "zipped_bytes": len(zlib.compress(path.read_bytes(), 9)) if target.format == "tflite" else None,
            "inputs": {name: [str(clip.dtype), *clip.shape[1:]] for name, clip in self.golden.inputs.items()},
            "parity": parity.model_dump(),
            "parity_of_step": None if streamed is None else streamed.model_dump(),
            "parity_limit": limit,
            "validation": None if validation is None else validation.model_dump(),
            "validation_limits": None
            if is_exact
            else self.config.model_dump(include={"min_top1_agreement", "max_accuracy_loss"}),
            "representative_clips": self.config.representative_clips
            if target.quantization in FROM_RECORDS
            else None,
            "fine_tuning": fine_tuning,
            "latency_ms": self._latency(artefact, path, target),
            "threads": loky.cpu_count(),
            **_ops(path, target),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": {"processor": environment["processor"], "platform": platform.platform()},
            "versions": environment["versions"],
            "commit": environment["commit"],
        }
        (scratch / target.report_path).write_text(json.dumps(report, indent=1), encoding="utf-8")

    def _latency(self, artefact: Artefact, path: Path, target: Target) -> dict[str, Any]:
        found: dict[str, Any] = {"all_threads": latency_ms(artefact, self.golden)}
        if artefact.streams:
            found["step"] = step_latency_ms(artefact, self.golden)
        if (alone := _one_thread(path, target)) is not None:
            found["one_thread"] = latency_ms(alone, self.golden)
            if alone.streams:
                found["step_one_thread"] = step_latency_ms(alone, self.golden)
            if "frame_mask" in self.golden.inputs:
                found["one_thread_by_frames"] = latency_by_length_ms(alone, self.golden)
        return found


def _load(path: Path, target: Target) -> Artefact:
    """Loads an export.

    Raises:
        UserError: its own runtime refuses it: a converter may write what an interpreter cannot prepare.
    """
    try:
        return load_artefact(path)
    except DamagedError as error:
        instead = "" if target.quantization == "none" else "; choose another --quantization"
        raise UserError(f"{target.path}: not written: cannot be loaded ({error.reason}){instead}") from None


def _one_thread(path: Path, target: Target) -> Artefact | None:
    if target.format == "tflite":
        return TFLiteArtefact(path, num_threads=1)
    if target.format == "onnx":
        return OnnxArtefact(path, num_threads=1)
    return None


def _ops(path: Path, target: Target) -> dict[str, dict[str, int]]:
    if target.format == "tflite":
        from sign_keras.export.tflite import count_operator_classes, count_ops

        return {"ops": count_ops(path), "operator_classes": count_operator_classes(path)}
    if target.format == "onnx":
        from sign_keras.export.onnx_file import count_onnx_ops

        return {"ops": count_onnx_ops(path)}
    from sign_keras.export.saved_model import count_graph_ops

    return {"ops": count_graph_ops(path)}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*"))
