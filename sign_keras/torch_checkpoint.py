"""Tensors out of PyTorch's ``.pth`` files, without PyTorch and without running what a file says.

A checkpoint is a *pickle*, a program that builds objects, and beside it raw numbers. Python's own unpickler would
call any function that the program names. This one knows ordered dictionaries and the rebuilding of tensors, and
refuses every other name before anything is called.

Both formats: the zip archive of PyTorch 1.6 and later, and the older stream, in which torchvision's older published
weights are. Source: ``torch/serialization.py`` (BSD 3-Clause).
"""

import collections
import io
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfrecords_tools.command_line import UserError

# First pickle of the older format.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
# Where training scripts put the state dictionary beside other things.
WRAPPERS = ("state_dict", "model_state_dict", "model")


class RefusedError(UserError):
    """A pickle that names something other than tensors."""


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Reads a state dictionary: ``.pth``, ``.pt`` or ``.safetensors``.

    Returns:
        Tensors by name, in the file's order; bfloat16 as float32. ``module.`` (of PyTorch's DataParallel) is taken
        off names.

    Raises:
        UserError: the file is missing, is no checkpoint, is damaged, or holds something other than tensors.
        RefusedError: it is a pickle that names anything but tensors and dictionaries.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        content: Any = _read_safetensors(path)
    else:
        try:
            content = _read_zip(path) if zipfile.is_zipfile(path) else _read_stream(path)
        except UserError:
            raise
        except Exception as error:  # a damaged pickle can raise whatever it likes
            reason = str(error).strip() or type(error).__name__
            raise UserError(f"{path}: is no checkpoint of PyTorch, or is damaged ({reason})") from None
    for name in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds {type(content).__name__}, expected a state dictionary of tensors by name")
    tensors = {
        str(name).removeprefix("module."): value for name, value in content.items() if isinstance(value, np.ndarray)
    }
    if not tensors:
        raise UserError(f"{path}: holds no tensors; expected a state dictionary, as model.state_dict() gives it")
    return tensors


class _Storage:
    """Numbers that tensors are views of; those of the older format come after the tensors."""

    __slots__ = ("bfloat16", "values")

    def __init__(self, dtype: str, count: int, limit: int) -> None:
        self.bfloat16 = dtype == "bfloat16"
        numpy_dtype = np.dtype("<u2" if self.bfloat16 else dtype)
        if not 0 <= count * numpy_dtype.itemsize <= limit:
            raise ValueError(f"a tensor of {count} numbers in a file of {limit} bytes")
        self.values = np.zeros(count, numpy_dtype)

    def fill(self, data: bytes) -> None:
        if len(data) != self.values.nbytes:
            raise ValueError("it ends early")
        self.values[:] = np.frombuffer(data, self.values.dtype)


class _Tensor:
    """A view of a storage, taken when all storages are filled."""

    __slots__ = ("offset", "shape", "storage", "strides")

    def __init__(self, storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int]) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

    def array(self) -> np.ndarray:
        values = self.storage.values
        reach = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        count = int(np.prod(self.shape, dtype=np.int64))
        # A view may neither leave its storage nor repeat it: a tiny file could fill the memory.
        if min((self.offset, *self.shape, *self.strides), default=0) < 0 or count > values.size:
            raise ValueError(f"a tensor of shape {self.shape} in a storage of {values.size} numbers")
        if count and reach >= values.size:
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its storage")
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, [stride * values.itemsize for stride in self.strides]
        )
        if self.storage.bfloat16:  # the upper half of a float32
            return (view.astype(np.uint32) << 16).view(np.float32)
        return view.copy()


def _rebuild_tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    # A storage's class says its dtype, nothing more.
    **{("torch", name): dtype for name, dtype in STORAGE_DTYPES.items()},
}


class _TensorUnpickler(pickle.Unpickler):
    """Unpickles dictionaries of tensors.

    Attributes:
        storages: by key; empty until ``fill``.
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__(stream, encoding="utf-8")
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name; called before anything of that name could run."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise RefusedError(
                f"{self.path}: refused: it asks for {module}.{name}, which no file of weights needs; nothing of it "
                "was run. Expected a state dictionary: torch.save(model.state_dict(), FILE)"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage: ``("storage", dtype, key, device, count[, view])``."""
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or dtype not in STORAGE_DTYPES.values() or any(view):
            raise ValueError(f"a reference to {kind!r} that is no plain storage")
        if key not in self.storages:
            self.storages[key] = _Storage(dtype, count, self.path.stat().st_size)
        return self.storages[key]


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(names) != 1:
            raise ValueError("it has no data.pkl")
        folder = names[0].removesuffix("data.pkl")
        if any(item.file_size > path.stat().st_size for item in archive.infolist()):
            raise ValueError("it is compressed, which PyTorch's files are not")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("it was written on a big-endian machine")
        unpickler = _TensorUnpickler(io.BytesIO(archive.read(names[0])), path)
        content = unpickler.load()
        for key, storage in unpickler.storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
    return _arrays(content)


def _read_stream(path: Path) -> Any:
    with path.open("rb") as file:
        if _TensorUnpickler(file, path).load() != MAGIC_NUMBER:
            raise ValueError("it does not begin as one")
        for _ in ("protocol version", "system information"):
            _TensorUnpickler(file, path).load()
        unpickler = _TensorUnpickler(file, path)
        content = unpickler.load()
        for key in _TensorUnpickler(file, path).load():
            count = int.from_bytes(file.read(8), "little")
            storage = unpickler.storages[key]
            if count != storage.values.size:
                raise ValueError(f"a storage of {count} numbers, where {storage.values.size} were announced")
            storage.fill(file.read(storage.values.nbytes))
    return _arrays(content)


def _arrays(content: Any) -> Any:
    """Dictionaries with their tensors as arrays; other values as they are."""
    if isinstance(content, dict):
        return {name: _arrays(value) for name, value in content.items()}
    return content.array() if isinstance(content, _Tensor) else content


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise UserError(f"{path}: the safetensors package is not installed; pip install safetensors") from None
    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: is no safetensors file, or is damaged ({error})") from None
