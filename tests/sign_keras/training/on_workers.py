"""The train command as several processes of one training, over loopback."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

KILLED_COMMAND = "tests.sign_keras.training.killed_command"


@dataclass(frozen=True)
class Ended:
    """One process: its status and what it wrote."""

    status: int
    output: str
    errors: str


def free_addresses(count: int) -> list[str]:
    """``localhost:port`` of ports that nobody listens on."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def start_workers(
    count: int, folder: Path, arguments: Sequence[object], signals: Mapping[int, tuple[int, int]]
) -> list[subprocess.Popen]:
    """Starts them in a folder; alone without ``TF_CONFIG``.

    Args:
        count: of processes.
        folder: to work in.
        arguments: of the command.
        signals: by worker, a step (from 1) at which it sends itself a signal's number.
    """
    addresses = free_addresses(count)
    processes = []
    for index in range(count):
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        if count > 1:
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment["TF_CONFIG"] = json.dumps(task)
        step, number = signals.get(index, (0, 0))
        command = [sys.executable, "-m", KILLED_COMMAND, str(step), str(int(number)), *map(str, arguments)]
        processes.append(
            subprocess.Popen(
                command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
    return processes


def run_workers(
    count: int, folder: Path, *arguments: object, signals: Mapping[int, tuple[int, int]] | None = None
) -> list[Ended]:
    """Runs them to their end, all of them; a process that has not ended after ten minutes is killed, and fails."""
    folder.mkdir(exist_ok=True)
    processes = start_workers(count, folder, arguments, signals or {})
    try:
        ended = []
        for process in processes:
            output, errors = process.communicate(timeout=600)
            ended.append(Ended(process.returncode, output, errors))
        return ended
    finally:
        for process in processes:
            process.kill()
