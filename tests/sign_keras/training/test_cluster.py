import json
import subprocess
import sys

import pytest

from sign_keras.training.cluster import cluster_from_environment
from tests.conftest import REPOSITORY
from tfrecords_tools.command_line import UserError

TWO = {"worker": ["a:1", "b:2"]}


def read(cluster, task):
    return cluster_from_environment({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})


def test_workers_are_numbered_in_tensorflows_order():
    found = read({"worker": ["a:1", "b:2"], "chief": ["c:3"]}, {"type": "worker", "index": 1})
    assert found.index == 2
    assert [address for _, _, address in found.tasks] == ["c:3", "a:1", "b:2"]
    assert found.jobs == {"chief": ["c:3"], "worker": ["a:1", "b:2"]}
    assert read(TWO, {"index": "1"}).index == 1  # as launchers write it


def test_one_machine_is_no_cluster():
    assert cluster_from_environment({}) is None
    assert cluster_from_environment({"TF_CONFIG": " "}) is None
    assert read({"worker": ["a:1"]}, {"type": "worker", "index": 0}) is None


@pytest.mark.parametrize(
    ("cluster", "task", "message"),
    [
        (None, {"index": 0}, "has no cluster"),
        ({}, {"index": 0}, "has no cluster"),
        ({"worker": []}, {"index": 0}, "names no worker"),
        ({"worker": "a:1"}, {"index": 0}, "cluster.worker is no list"),
        ({"worker": ["a:1", "b"]}, {"index": 0}, r"cluster.worker\[1\] is 'b', not host:port"),
        ({"worker": ["a:1", "a:1"]}, {"index": 0}, "names a:1 twice"),
        ({**TWO, "ps": ["c:1"]}, {"index": 0}, "the job 'ps'"),
        ({"chief": ["a:1", "b:2"]}, {"type": "chief", "index": 0}, "2 chiefs"),
        (TWO, None, "has no task"),
        (TWO, {"type": "worker"}, "task.index is None"),
        (TWO, {"index": True}, "task.index is True"),
        (TWO, {"type": "worker", "index": 2}, "task is worker 2, but the cluster has 2 of these"),
        (TWO, {"type": "chief", "index": 0}, "task is chief 0, but the cluster has 0 of these"),
    ],
)
def test_a_faulty_description_is_one_line(cluster, task, message):
    with pytest.raises(UserError, match=rf"^TF_CONFIG .*{message}.*; expected .*docs/scale.md$"):
        read(cluster, task)


@pytest.mark.parametrize(("text", "message"), [("{cluster", "is not JSON"), ("[1]", "is a JSON list")])
def test_what_is_no_object_is_one_line(text, message):
    with pytest.raises(UserError, match=f"^TF_CONFIG {message}"):
        cluster_from_environment({"TF_CONFIG": text})


def test_the_command_says_so_before_tensorflow_loads(tmp_path):
    config = REPOSITORY / "configs" / "keypoint_gru.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "sign_keras.train", "--config", str(config)],
        env={"TF_CONFIG": "{", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: TF_CONFIG is not JSON")
    assert done.stderr.count("\n") == 1
