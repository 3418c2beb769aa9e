"""Worker processes that outlive nobody."""

import os
import signal
import threading
import time
from collections.abc import Mapping

import loky

PARENT_CHECK_SECONDS = 1.0


def start_pool(
    workers: int | None = None, environment: Mapping[str, str] | None = None
) -> loky.ProcessPoolExecutor:
    """A pool whose processes end with this one, even when it is killed.

    loky rather than multiprocessing: its workers do not import the caller's main module (and TensorFlow with it),
    are not forked from a process that may hold TensorFlow's threads, and a worker's death is noticed instead of
    waited out for ever.

    Args:
        workers: processes; by default one a core.
        environment: variables that are theirs alone.
    """
    return loky.ProcessPoolExecutor(
        max_workers=workers or loky.cpu_count(),
        initializer=_start_worker,
        initargs=(os.getpid(),),
        env=None if environment is None else dict(environment),
    )


def _start_worker(parent: int) -> None:
    # Ctrl-C reaches the whole process group; the parent alone reacts and stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)


def end_with(parent: int) -> None:
    """Ends this process soon after its parent: one that was killed has told its workers nothing.

    Args:
        parent: its process id.
    """
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(1)
