"""What both sides of a benchmark share: a process that answers requests; standard library alone.

A request is one line of JSON, ``{"name": ..., **arguments}``, and its answer is another. TensorFlow and PyTorch in
one process disturb each other's threads: each side is a process, possibly of another Python, and while one
computes the other waits for a line.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # man 5 proc


class SideError(RuntimeError):
    """A side did not start, or ended without an answer: it lacks a package, or its memory did not do."""


class Side:
    """A process that answers; use as a context.

    Args:
        command: what to run.
        environment: of the process.

    Raises:
        SideError: there is no such program.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
        except OSError as error:
            raise SideError(f"{command[0]}: {error.strerror}") from error

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def ask(self, name: str, **arguments: Any) -> Any:
        """The answer to a request.

        Raises:
            SideError: the process ended instead.
        """
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        with contextlib.suppress(BrokenPipeError):  # how it ended tells more
            pipe_in.write(json.dumps({"name": name, **arguments}) + "\n")
            pipe_in.flush()
        line = pipe_out.readline()
        if not line:
            raise SideError(f"{name}: ended with status {self._process.wait()}")
        return json.loads(line)


def answer(requests: dict[str, Callable[..., Any]]) -> None:
    """Answers requests until there are no more."""
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(requests[request.pop("name")](**request)), flush=True)


def seconds_of(work: Callable[[], Any], repeats: int) -> list[dict[str, float]]:
    """How long each of some calls took, after one that does not count.

    Returns:
        Of each call its ``wall`` time and its ``cpu`` time, over all threads: on a machine that does other things
        too, only the latter says something.
    """
    work()
    seconds = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seconds.append({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})
    return seconds


def least(seconds: list[dict[str, float]]) -> dict[str, float]:
    """The least wall and the least CPU time of some calls."""
    return {clock: min(call[clock] for call in seconds) for clock in ("wall", "cpu")}


def peak_memory_of(work: Callable[[], Any]) -> int:
    """Bytes by which the resident memory of this process rises while it works, at most; Linux only."""
    REFERENCES.write_text(RESET_PEAK)
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
