import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

from sign_keras.torch_checkpoint import RefusedError, read_checkpoint
from tests.sign_keras.torch_files import MAGIC_NUMBER, write_checkpoint
from tfrecords_tools.command_line import UserError

STATE = {
    "a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "a.bias": np.array([1.5, -2.0], np.float16),
    "steps": np.array(7, np.int64),
}


class Malicious:
    """Unpickled by Python's own unpickler, it would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_back(tmp_path, zipped):
    path = tmp_path / "state.pth"
    write_checkpoint(path, STATE, zipped=zipped)
    tensors = read_checkpoint(path)
    assert list(tensors) == list(STATE)
    for name, expected in STATE.items():
        np.testing.assert_array_equal(tensors[name], expected)
        assert tensors[name].dtype == expected.dtype


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_file_is_refused_and_nothing_runs(tmp_path, zipped):
    path, target = tmp_path / "state.pth", tmp_path / "made_by_the_file"
    pickle.loads(pickle.dumps(Malicious(target)))
    assert target.is_dir()  # so dangerous is it
    target.rmdir()
    write_checkpoint(path, STATE | {"b": Malicious(target)}, zipped=zipped)
    with pytest.raises(RefusedError, match=r"refused: it asks for posix\.mkdir"):
        read_checkpoint(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("torch", "load"), ("torch._utils", "_rebuild_tensor_v2.__globals__")],
)
def test_only_tensors_may_be_named(tmp_path, module, name):
    path = tmp_path / "state.pth"
    path.write_bytes(
        b"\x80\x04" + pickle.dumps(module, 4)[2:-1] + pickle.dumps(name, 4)[2:-1] + pickle.STACK_GLOBAL + b"."
    )
    with pytest.raises(RefusedError, match="refused"):
        read_checkpoint(path)


def test_safetensors_are_read_too(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")

    path = tmp_path / "state.safetensors"
    safetensors.save_file({"module.a": STATE["a.weight"]}, path)
    np.testing.assert_array_equal(read_checkpoint(path)["a"], STATE["a.weight"])


def test_safetensors_without_its_package_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    (tmp_path / "state.safetensors").touch()
    with pytest.raises(UserError, match="pip install safetensors"):
        read_checkpoint(tmp_path / "state.safetensors")


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "state.pth"
    with pytest.raises(UserError, match=r"state\.pth: no such file"):
        read_checkpoint(path)
    write_checkpoint(path, STATE, zipped=False)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:20], whole[:-3], pickle.dumps(MAGIC_NUMBER)):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"state\.pth: is no checkpoint of PyTorch, or is damaged"):
            read_checkpoint(path)
    write_checkpoint(path, {"epoch": 3})
    with pytest.raises(UserError, match="holds no tensors"):
        read_checkpoint(path)


def test_a_small_file_cannot_claim_much_memory(tmp_path):
    path = tmp_path / "state.pth"
    write_checkpoint(path, STATE)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    (count,) = [code for code in (b"K\x18",) if code in parts["archive/data.pkl"]]  # 24 numbers
    parts["archive/data.pkl"] = parts["archive/data.pkl"].replace(count, b"J\x00\x00\x00\x7f", 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match=r"damaged \(a tensor of 2130706432 numbers in a file of"):
        read_checkpoint(path)
