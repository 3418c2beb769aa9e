"""The job files for clusters: no cluster is asked; what they would tell the workers is."""

import json
import os
import subprocess

import pytest
import yaml

from sign_keras.training.cluster import cluster_from_environment
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "examples" / "cluster"
# Stand-ins: nodes as SLURM lists them; tasks one after the other; the command that says what it was told.
SCONTROL = "#!/bin/sh\n[ \"$*\" = 'show hostnames node[7-9]' ] && printf 'node7\\nnode8\\nnode9\\n'\n"
SRUN = '#!/bin/sh\nshift\nfor number in 0 1 2; do SLURM_PROCID=$number "$@"; done\n'
PYTHON = '#!/bin/sh\necho "$TF_CONFIG"\necho "$@"\n'


def run_slurm(folder, run):
    for name, text in (("scontrol", SCONTROL), ("srun", SRUN), ("python", PYTHON)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "node[7-9]",
        "SLURM_JOB_ID": "123456",
        "PYTHON": str(folder / "python"),
    }
    command = ["bash", FOLDER / "train.sbatch", "configs/r3d_18.yaml", run]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    return [cluster_from_environment({"TF_CONFIG": line}) for line in lines[::2]], lines[1::2]


def test_slurm_numbers_its_nodes_and_goes_on_where_there_is_a_run(tmp_path):
    run = tmp_path / "run"
    clusters, commands = run_slurm(tmp_path, run)
    assert [cluster.index for cluster in clusters] == [0, 1, 2]
    nodes = {"worker": ["node7:23456", "node8:23456", "node9:23456"]}
    assert [cluster.jobs for cluster in clusters] == [nodes] * 3
    assert set(commands) == {f"-m sign_keras.train --config configs/r3d_18.yaml --run-dir {run}"}
    run.mkdir()
    (run / "config.yaml").touch()
    assert set(run_slurm(tmp_path, run)[1]) == {commands[0] + " --resume"}


def test_kubernetes_numbers_its_pods(tmp_path):
    service, job = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    environment = {item["name"]: item["value"] for item in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == int(environment["WORKERS"])
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert pod["subdomain"] == service["metadata"]["name"]
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": "1"}
    command = [*container["command"], *container["args"]]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    told, arguments = done.stdout.splitlines()
    cluster = cluster_from_environment({"TF_CONFIG": told})
    assert cluster.index == 1
    port = service["spec"]["ports"][0]["port"]
    name = job["metadata"]["name"]
    assert cluster.jobs == {"worker": [f"{name}-{index}.{pod['subdomain']}:{port}" for index in range(2)]}
    assert arguments == f"-m sign_keras.train --config {environment['CONFIG']} --run-dir {environment['RUN']}"


@pytest.mark.parametrize("arguments", [[], ["0", "2222"]])
def test_missing_hosts_are_one_line(arguments):
    done = subprocess.run(["sh", FOLDER / "tf_config.sh", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: tf_config.sh INDEX PORT HOST...\n")


def test_one_host_is_json():
    done = subprocess.run(["sh", FOLDER / "tf_config.sh", "0", "2222", "here"], capture_output=True, text=True)
    assert json.loads(done.stdout)["cluster"] == {"worker": ["here:2222"]}
