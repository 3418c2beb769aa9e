"""Writes files as PyTorch's ``torch.save`` does, without PyTorch; both of its formats."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


class _Storage:
    def __init__(self, kind: type, key: str, values: np.ndarray) -> None:
        self.kind, self.key, self.values = kind, key, values


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...], rebuild: Any) -> None:
        self.storage, self.shape, self.rebuild = storage, shape, rebuild

    def __reduce__(self) -> tuple[Any, ...]:
        strides = [int(np.prod(self.shape[axis + 1 :])) for axis in range(len(self.shape))]
        return self.rebuild, (self.storage, 0, self.shape, tuple(strides), False, OrderedDict())


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, *, zipped: bool) -> None:
        super().__init__(file, protocol=2)
        self.zipped = zipped

    def persistent_id(self, item: Any) -> Any:
        if not isinstance(item, _Storage):
            return None
        pid = ("storage", item.kind, item.key, "cpu", item.values.size)
        return pid if self.zipped else (*pid, None)


def write_checkpoint(path: Path, tensors: dict[str, Any], *, zipped: bool = True) -> None:
    """Arrays become tensors; every other value is pickled as it is."""
    names = ("torch", "torch._utils")
    kept = {name: sys.modules.pop(name, None) for name in names}
    torch, utils = (sys.modules.setdefault(name, types.ModuleType(name)) for name in names)
    try:
        for name in STORAGES.values():
            setattr(torch, name, type(name, (), {"__module__": "torch"}))

        def _rebuild_tensor_v2(*_: Any) -> None: ...

        _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
        utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
        storages: list[_Storage] = []
        content: OrderedDict[str, Any] = OrderedDict()
        for name, value in tensors.items():
            if isinstance(value, np.ndarray):
                kind = getattr(torch, STORAGES[str(value.dtype)])
                storages.append(_Storage(kind, str(len(storages)), np.ascontiguousarray(value)))
                value = _Tensor(storages[-1], value.shape, _rebuild_tensor_v2)
            content[name] = value
        stream = io.BytesIO()
        if not zipped:
            for header in (MAGIC_NUMBER, 1001, {"little_endian": True}):
                pickle.dump(header, stream, protocol=2)
        _Pickler(stream, zipped=zipped).dump(content)
        if not zipped:
            pickle.dump([storage.key for storage in storages], stream, protocol=2)
            for storage in storages:
                stream.write(storage.values.size.to_bytes(8, "little") + storage.values.tobytes())
            path.write_bytes(stream.getvalue())
            return
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", stream.getvalue())
            archive.writestr("archive/byteorder", "little")
            for storage in storages:
                archive.writestr(f"archive/data/{storage.key}", storage.values.tobytes())
    finally:
        for name, module in kept.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module
