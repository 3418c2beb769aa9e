"""What can be exported, and what a file of each kind is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sign_keras.config.results import ExportFormat, Quantization
from sign_keras.inference.info import onnx_step_path
from tfrecords_tools.command_line import UserError

FORMATS: tuple[str, ...] = get_args(ExportFormat)
QUANTIZATIONS: tuple[str, ...] = get_args(Quantization)
# What a file holds whose weights were fine-tuned for it, by quantization.
FINE_TUNED = {"qat": "int8", "pruned": "none"}
# These need training clips.
FROM_RECORDS = ("int8", *FINE_TUNED)
# Folder and suffix by format.
PLACES = {"savedmodel": ("savedmodels", ""), "tflite": ("tflite", ".tflite"), "onnx": ("onnx", ".onnx")}


@dataclass(frozen=True)
class Target:
    """One export to make.

    Attributes:
        format: of ``FORMATS``.
        quantization: of ``QUANTIZATIONS``; ``none`` for all but ``.tflite`` files.
        path: where it goes, below the output directory.
    """

    format: str
    quantization: str
    path: Path

    @property
    def report_path(self) -> Path:
        """Its ``.json``, beside it."""
        return report_path(self.path)

    @property
    def paths(self) -> list[Path]:
        """What it may consist of: the export, of ONNX the file of a stream's step, and last the report."""
        return [self.path, *([onnx_step_path(self.path)] if self.format == "onnx" else []), self.report_path]


def report_path(path: Path) -> Path:
    """Where the figures of an export are."""
    return path.with_name(path.name.removesuffix(".tflite").removesuffix(".onnx") + ".json")


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
    for format_ in (known for known in FORMATS if known in formats):
        folder, suffix = PLACES[format_]
        for kind in dict.fromkeys(quantization if format_ == "tflite" else ("none",)):
            quantized = "" if kind == "none" else f"_{kind}"
            targets.append(Target(format_, kind, Path(folder) / f"{name}{quantized}{suffix}"))
    return targets
