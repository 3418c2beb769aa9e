"""What is said of the machine, with faults planted."""

import signal
import socket
import subprocess
import sys

import pytest

from sign_keras.doctor import machine
from sign_keras.doctor.findings import Finding, summary


def test_a_missing_library_is_named_with_the_package_that_has_it():
    assert [finding.level for finding in machine.opengl()] == ["ok"]
    (finding,) = machine.opengl("libNoSuch.so.1")
    assert (finding.level, finding.what.split(":")[0]) == ("problem", "libNoSuch.so.1 is missing")
    assert "libgl1" in finding.fix


def test_missing_codecs_are_named(monkeypatch):
    assert [finding.level for finding in machine.codecs()] == ["ok"]
    monkeypatch.setattr(machine, "DECODERS", ("h264", "no_such_codec"))
    (finding,) = machine.codecs()
    assert finding.level == "problem"
    assert finding.what.endswith("lacks codecs: no_such_codec")


def test_packages_that_cannot_be_loaded(monkeypatch):
    codes = {
        "OpenCV": "import no_such_package",
        "MediaPipe": "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
        "TensorFlow": "print('words', 0)",
    }
    monkeypatch.setattr(machine, "IMPORTS", codes)
    monkeypatch.setattr(machine, "_nvidia_gpus", lambda: ["H100"])
    missing, illegal, loaded, gpu = machine.imports()
    assert missing.what == "OpenCV cannot be loaded: ModuleNotFoundError: No module named 'no_such_package'"
    assert "illegal instruction" in illegal.what
    assert (loaded.level, loaded.what) == ("ok", "TensorFlow can be loaded")
    assert (gpu.level, gpu.what) == ("problem", "the driver has H100, and TensorFlow sees no GPU")


def test_a_package_that_hangs(monkeypatch):
    monkeypatch.setattr(machine, "IMPORTS", {"OpenCV": "import time; time.sleep(60)"})
    monkeypatch.setattr(machine, "IMPORT_SECONDS", 0.2)
    (finding,) = machine.imports()
    assert (finding.level, finding.what) == ("problem", "OpenCV is not loaded after 0.2 s")


def test_a_package_ended_by_a_signal():
    assert "SIGSEGV" in machine.imported("MediaPipe", -signal.SIGSEGV, "").what


def test_gpus():
    assert machine.gpus(2, ["H100", "H100"]).what == "2 GPU(s) seen by TensorFlow: H100, H100"
    assert machine.gpus(0, []).level == "note"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="cameras are files on Linux alone")
def test_cameras(tmp_path, monkeypatch):
    (none,) = machine.cameras([])
    assert none.level == "note"
    device = tmp_path / "video0"
    device.touch()
    assert machine.cameras([device])[0].level == "ok"
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    assert "usermod" in machine.cameras([device])[0].fix


@pytest.mark.parametrize(
    ("gib", "memory", "levels"), [(0.5, 16, ["problem", "ok"]), (5, 2, ["note", "note"]), (50, 0, ["ok"])]
)
def test_room(gib, memory, levels):
    found = machine.room(int(gib * machine.GIB), memory * machine.GIB)
    assert [finding.level for finding in found] == levels


def test_shipped_weights_are_there_and_whole(tmp_path):
    (finding,) = machine.shipped_weights(machine.WEIGHTS)
    assert finding.level == "ok"
    assert machine.shipped_weights(tmp_path)[0].level == "problem"
    (tmp_path / "a.weights.h5").write_text("version https://git-lfs.github.com/spec/v1")
    (finding,) = machine.shipped_weights(tmp_path)
    assert (finding.level, finding.what.split()[0]) == ("problem", "a.weights.h5")


def test_network(monkeypatch):
    def refuse(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    finding = machine.network("example.org")
    assert (finding.level, finding.what.split()[0]) == ("note", "example.org")


def test_it_looks_without_loading_what_it_looks_for():
    """A doctor that needs TensorFlow could not say that TensorFlow is broken."""
    code = (
        "import sys, sign_keras.doctor.__main__, sign_keras.doctor.packages, sign_keras.doctor.machine; "
        "print(*{'tensorflow', 'keras', 'cv2', 'mediapipe', 'av'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"\n"


def test_findings_are_counted():
    found = [Finding("ok", "a"), Finding("note", "b"), Finding("note", "c"), Finding("problem", "d", "e")]
    assert summary(found) == "1 problem, 2 notes"
    assert summary(found[:1]) == "all is well"
    assert found[-1].text() == "problem   d\n          -> e"
