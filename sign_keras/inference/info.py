"""What travels inside every exported model, so that the file alone is enough to use it.

A SavedModel carries it in ``assets.extra/``, which TensorFlow keeps for such files; an ONNX file in its
``metadata_props``. A ``.tflite`` carries it as
*associated files*, in TFLite's own convention: a zip archive after the flatbuffer's end, which interpreters do
not see and any unzip program opens. All hold ``sign_keras.json`` (an ``ArtefactInfo``) and ``labels.txt`` (one
gloss a line, in the order of the logits), for apps that want no more than the names.
"""

import importlib.metadata
import zipfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Literal

import pydantic

from sign_keras.config import Task
from sign_keras.decoding import SentenceDecoding
from tfrecords_tools.clips import ClipSpec
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap
from tfrecords_tools.settings import Settings

# Raised by every change that old readers would misread.
FORMAT_VERSION = 1
INFO_NAME = "sign_keras.json"
LABELS_NAME = "labels.txt"
ASSETS_FOLDER = "assets.extra"
# Of a run: which glosses were added by ``sign_keras.enroll``, from which clips.
ENROLLED_NAME = "enrolled.json"
# What marks a directory as one of ours; repeated from ``sign_keras.run``, which loads Keras.
RUN_MARK, SAVED_MODEL_MARK = "config.yaml", "saved_model.pb"
# The function that every export offers, and what its output is called; the one that causal models offer besides,
# from a stream's next frame and what is remembered (zeros at first) to logits and what is remembered then.
SIGNATURE = "serving_default"
STEP = "step"
OUTPUT = "logits"
# In front of an ONNX output that is called as an input is: there no two tensors of a graph share a name.
NEW = "new_"
# Zip entries carry a date; a fixed one keeps the same export the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class ArtefactInfo(Settings):
    """Everything about a model that its weights do not say.

    Attributes:
        format_version: ``FORMAT_VERSION`` of the writer.
        name: of the run that it came from.
        task: ``isolated``: one sign a clip, logits ``[B, V]``; ``continuous``: the signs of a sentence, by CTC,
            logits ``[B, T', V + 1]``.
        glosses: gloss of each logit; of sentences, logit 0 is the blank, and gloss i is logit i + 1.
        blank: the blank's logit; None where there is none.
        frames_per_logit: of sentences: how many frames of a clip make one frame of the logits, a whole number, or a
            fraction such as "10/7" where the model selects frames. Of a clip of n real frames, the first
            ``ceil(n / frames_per_logit)`` are real.
        decoding: of sentences: how logits are read, the language model included.
        clip_spec: how a video becomes the model's input, sampling included.
        input_names: the model's inputs among ``frames``, ``keypoints`` and ``frame_mask``.
        temperature: logits are divided by it before the softmax; see ``sign_keras.calibration``.
        thresholds: named probabilities below which an answer is to be doubted; empty where none was tuned. Below
            ``sign`` it counts as no sign.
        no_sign: the gloss that stands for no sign; None where every gloss is a sign.
        trained_on: name of the records.
        records_source: the format that those came from.
        model_card: a few sentences for people.
        sign_keras_version: what wrote it.
    """

    format_version: int
    name: str
    task: Task = "isolated"
    glosses: tuple[str, ...] = pydantic.Field(min_length=1)
    blank: Literal[0] | None = None
    frames_per_logit: pydantic.PositiveInt | Fraction = 1
    decoding: SentenceDecoding | None = None
    clip_spec: ClipSpec
    input_names: tuple[str, ...] = pydantic.Field(min_length=1)
    temperature: float = pydantic.Field(1.0, gt=0)
    thresholds: dict[str, float] = pydantic.Field(default_factory=dict)
    no_sign: str | None = None
    trained_on: str
    records_source: str
    model_card: str
    sign_keras_version: str

    @pydantic.model_validator(mode="after")
    def _check(self) -> "ArtefactInfo":
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format_version {self.format_version}, this version reads {FORMAT_VERSION}")
        if self.clip_spec.sampling is None:
            raise ValueError("clip_spec.sampling is missing")
        LabelMap(self.glosses)  # raises where a gloss stands for two ids
        if self.no_sign is not None and self.no_sign not in self.glosses:
            raise ValueError(f"no_sign: {self.no_sign!r} is not among the glosses")
        return self


def kind_of(path: Path) -> Literal["run", "saved_model", "tflite", "onnx"]:
    """What kind of artefact a path is, by names alone: quick enough to tell a mistake before TensorFlow is loaded.

    Raises:
        UserError: the path is missing or is none.
    """
    expected = "expected a run directory, a SavedModel directory, a .tflite or an .onnx file"
    if path.suffix == ".tflite" and path.is_file():
        return "tflite"
    if path.suffix == ".onnx" and path.is_file():
        return "onnx"
    if (path / SAVED_MODEL_MARK).is_file():
        return "saved_model"
    if (path / RUN_MARK).is_file():
        return "run"
    if not path.exists():
        raise UserError(f"{path}: no such file or directory; {expected}")
    if path.is_dir():
        raise UserError(f"{path}: holds neither {RUN_MARK} nor {SAVED_MODEL_MARK}; {expected}")
    raise UserError(f"{path}: no model has the suffix {path.suffix!r}; {expected}")


def read_enrolled(directory: Path) -> dict[str, list[str]]:
    """Clips by gloss that were added to a run without training; empty where there are none.

    Raises:
        UserError: the list is damaged.
    """
    path = directory / ENROLLED_NAME
    try:
        return pydantic.TypeAdapter(dict[str, list[str]]).validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except pydantic.ValidationError:
        raise UserError(f"{path}: is damaged; enroll the sign again") from None


def installed_version() -> str:
    """Version of this package; ``not installed`` when it runs from a checkout."""
    try:
        return importlib.metadata.version("sign_keras")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def add_to_saved_model(directory: Path, info: ArtefactInfo) -> None:
    """Adds the description to a SavedModel."""
    folder = directory / ASSETS_FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in _files(info).items():
        (folder / name).write_text(text, encoding="utf-8")


def add_to_tflite(path: Path, info: ArtefactInfo) -> None:
    """Adds the description to a ``.tflite`` that has none yet."""
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in _files(info).items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), text)


def onnx_step_path(path: Path) -> Path:
    """The file of a causal model's ``step``, beside that of its clips: an ONNX file holds one function."""
    return path.with_name(f"{path.stem}_{STEP}.onnx")


def add_to_onnx(path: Path, info: ArtefactInfo) -> None:
    """Adds the description to an ONNX file; needs the extra ``onnx``."""
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, _files(info))
    model.producer_name = f"sign_keras {info.sign_keras_version}"
    onnx.save(model, str(path))


def read_from_onnx(path: Path, metadata: Mapping[str, str]) -> ArtefactInfo:
    """Reads an ONNX file's description.

    Args:
        path: of the file, for messages.
        metadata: its ``metadata_props``, as onnxruntime gives them.

    Raises:
        UserError: it has none, or one of another version.
    """
    if INFO_NAME not in metadata:
        raise UserError(f"{path}: carries no {INFO_NAME}; expected an .onnx file that sign_keras.export wrote")
    return _parse(metadata[INFO_NAME], path)


def read_from_saved_model(directory: Path) -> ArtefactInfo:
    """Reads a SavedModel's description.

    Raises:
        UserError: it has none, or one of another version.
    """
    try:
        text = (directory / ASSETS_FOLDER / INFO_NAME).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{directory}: a SavedModel without {ASSETS_FOLDER}/{INFO_NAME}; expected one that sign_keras.export "
            "wrote"
        ) from None
    return _parse(text, directory)


def read_from_tflite(path: Path) -> ArtefactInfo:
    """Reads a ``.tflite``'s description.

    Raises:
        UserError: it has none, or one of another version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(INFO_NAME).decode()
    except (zipfile.BadZipFile, KeyError):
        raise UserError(
            f"{path}: carries no {INFO_NAME}; expected a whole .tflite file that sign_keras.export wrote"
        ) from None
    return _parse(text, path)


def _files(info: ArtefactInfo) -> dict[str, str]:
    return {
        INFO_NAME: info.model_dump_json(indent=1),
        LABELS_NAME: "".join(f"{gloss}\n" for gloss in info.glosses),
    }


def _parse(text: str, path: Path) -> ArtefactInfo:
    try:
        return ArtefactInfo.model_validate_json(text)
    except pydantic.ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "description"
        raise UserError(
            f"{path}: {INFO_NAME}: {where}: {fault['msg'].removeprefix('Value error, ')}; it was exported by "
            "another version or is damaged: export the run again"
        ) from None
