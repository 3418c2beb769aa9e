import os
import signal
import subprocess
import sys
import time

import pytest

POOL = """
import os, time
from tfrecords_tools.processes import start_pool

with start_pool(1) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""
CHILD = """
import sys, time
from tfrecords_tools.processes import end_with

end_with(int(sys.argv[1]))
time.sleep(60)
"""
COMMAND = f"""
import os, subprocess, sys

with subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())]) as process:
    print(process.pid, flush=True)
"""


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("script", [POOL, COMMAND], ids=["pool", "command"])
def test_workers_end_soon_after_their_parent_was_killed(script):
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert runs(worker)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while runs(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not runs(worker)
