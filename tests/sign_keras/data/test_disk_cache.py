"""The lock and the leftovers of ``data.cache``, without ``tf.data``."""

import subprocess
import sys

import pytest

from sign_keras.data import disk_cache
from sign_keras.data.disk_cache import claim_cache
from tests.conftest import REPOSITORY
from tfrecords_tools.command_line import UserError
from tfrecords_tools.dataset_info import DatasetInfo


@pytest.fixture
def info(tiny_records):
    return DatasetInfo.load(tiny_records)


def test_what_a_kill_left_is_removed_and_a_whole_cache_is_kept(info, tmp_path, monkeypatch):
    prefix = claim_cache(tmp_path, info, "train")
    assert claim_cache(tmp_path, info, "train") == prefix
    left = [prefix.with_name(f"{prefix.name}{end}") for end in ("_0.lockfile", "_0.data-00000-of-00001")]
    other = tmp_path / "other-train_0.lockfile"
    for path in (*left, other):
        path.touch()
    # As in the next process, to which this one's lock is not held any more.
    monkeypatch.setattr(disk_cache, "_held", {})
    with pytest.raises(UserError, match="another training is filling it; wait"):
        claim_cache(tmp_path, info, "train")
    monkeypatch.undo()
    disk_cache._held.pop(prefix).close()
    assert claim_cache(tmp_path, info, "train") == prefix
    assert not any(path.exists() for path in left)
    assert other.exists()
    disk_cache._held.pop(prefix).close()
    whole = [prefix.with_name(f"{prefix.name}{end}") for end in (".index", ".data-00000-of-00001")]
    for path in whole:
        path.touch()
    assert claim_cache(tmp_path, info, "train") == prefix
    assert all(path.exists() for path in whole)
    assert prefix not in disk_cache._held


def test_other_records_have_another_cache(info, tmp_path):
    other = info.model_copy(update={"shards": {**info.shards, "more": 1}})
    assert claim_cache(tmp_path, info, "train") != claim_cache(tmp_path, other, "train")


def test_a_folder_that_cannot_be_made_is_one_line(info, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        claim_cache(tmp_path / "file" / "cache", info, "train")


@pytest.mark.slow
def test_a_cache_that_a_killed_process_began_is_begun_anew(tiny_records, tmp_path):
    """``tf.data`` alone refuses to go on: the lock file of a killed process stays."""
    program = f"""
import os, signal, sys
from pathlib import Path
from sign_keras.config import DataConfig
from sign_keras.data.dataset import Records
from tfrecords_tools.clips import SamplingSpec
records = Records.open(Path({str(tiny_records)!r}), SamplingSpec(num_frames=3, height=32, width=32), ("frames",))
config = DataConfig(cache={str(tmp_path)!r}, shuffle_clips=1)
batches = iter(records.training_batches(config, 2, seed=1))
for _ in range(int(sys.argv[1])):
    next(batches)
os.kill(os.getpid(), signal.SIGKILL)
"""
    for count in (1, 20):
        command = [sys.executable, "-c", program, str(count)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == -9, done.stderr[-2000:]
    assert list(tmp_path.glob("*.index"))
