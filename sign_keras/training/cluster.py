"""``TF_CONFIG``: the machines that train together, and which of them this is."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from tfrecords_tools.command_line import UserError, run_command

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}, '
    "with another index on each machine; see docs/scale.md"
)
# In TensorFlow's order; the first task leads.
JOBS = ("chief", "worker")
# What a worker has computed, the others fetch from it: it stays so long after the last step.
LINGER_SECONDS = 2
ADDRESS = re.compile(r"\S+:[0-9]{1,5}")


@dataclass(frozen=True)
class Cluster:
    """What ``TF_CONFIG`` says.

    Attributes:
        tasks: job, number within it and ``host:port`` of each worker; the first writes the run directory.
        index: of this process among them.
    """

    tasks: tuple[tuple[str, int, str], ...]
    index: int

    @property
    def jobs(self) -> dict[str, list[str]]:
        """Addresses by job, as TensorFlow takes them."""
        return {
            job: [address for name, _, address in self.tasks if name == job]
            for job in JOBS
            if any(name == job for name, _, _ in self.tasks)
        }


def cluster_from_environment(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Reads ``TF_CONFIG``; None where there is none, or where it names one worker alone.

    Raises:
        UserError: it is not JSON, has no workers, or its task is none of them.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        values = json.loads(text)
    except ValueError as error:
        raise _fault(f"is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise _fault(f"is a JSON {type(values).__name__}, not an object")
    tasks = _tasks(values.get("cluster"))
    index = _index(values.get("task"), tasks)
    return Cluster(tasks, index) if len(tasks) > 1 else None


def _tasks(jobs: object) -> tuple[tuple[str, int, str], ...]:
    if not isinstance(jobs, dict) or not jobs:
        raise _fault("has no cluster")
    others = sorted(set(jobs) - set(JOBS))
    if others:
        raise _fault(f"cluster has the job {others[0]!r}; only {' and '.join(JOBS)} train here")
    tasks = []
    for job in JOBS:
        addresses = jobs.get(job, [])
        if not isinstance(addresses, list):
            raise _fault(f"cluster.{job} is no list of addresses")
        for number, address in enumerate(addresses):
            if not isinstance(address, str) or not ADDRESS.fullmatch(address):
                raise _fault(f"cluster.{job}[{number}] is {address!r}, not host:port")
            tasks.append((job, number, address))
    if not tasks:
        raise _fault("cluster names no worker")
    twice = [address for _, _, address in tasks if sum(address == other for _, _, other in tasks) > 1]
    if twice:
        raise _fault(f"cluster names {twice[0]} twice")
    if len(jobs.get("chief", [])) > 1:
        raise _fault(f"cluster has {len(jobs['chief'])} chiefs; one leads")
    return tuple(tasks)


def _index(task: object, tasks: tuple[tuple[str, int, str], ...]) -> int:
    if not isinstance(task, dict):
        raise _fault("has no task")
    job, number = task.get("type", "worker"), task.get("index")
    # Launchers write the number as text, too.
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int):
        raise _fault(f"task.index is {number!r}, not a number")
    places = [(name, place) for name, place, _ in tasks]
    if (job, number) not in places:
        count = sum(name == job for name, _ in places)
        raise _fault(f"task is {job} {number}, but the cluster has {count} of these, counted from 0")
    return places.index((job, number))


def _fault(what: str) -> UserError:
    return UserError(f"{VARIABLE} {what}; expected {EXAMPLE}")


def end_with_status_of(main: Callable[[], int]) -> NoReturn:
    """Runs a command's ``main`` on one of several workers, and ends the process at once.

    At an ordinary end TensorFlow waits for connections to workers that may be gone: for ever, as it was seen.
    """
    try:
        run_command(main)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(LINGER_SECONDS)
        os._exit(end.code if isinstance(end.code, int) else 1)
    raise AssertionError("run_command ends the process")
