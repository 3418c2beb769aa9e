"""How every command speaks: one-line errors, exit statuses, quiet third parties.

Exit statuses: 0 success, 1 some inputs were skipped (they are listed), 2 wrong usage or configuration, 128 and a
signal's number where that ended the command.
"""

import contextlib
import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SUCCESS, SKIPPED_INPUTS, USAGE_ERROR = 0, 1, 2
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """Something a user can mend. The message is one line: what was found, where, and what to do."""


class Stopped(KeyboardInterrupt):
    """A signal ends the command. The message is one line: what it was about, and how to go on.

    Attributes:
        number: of the signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@contextlib.contextmanager
def writing(path: Path, then: str = "try again") -> Iterator[None]:
    """To write a file in: an ``OSError`` becomes a ``UserError`` that names the file and says what to do.

    Of a disk that fills up, the system does not say which file it was about.

    Args:
        path: the file.
        then: what to do once the file can be written.
    """
    try:
        yield
    except OSError as error:
        remedy = "make room there" if error.errno in DISK_FULL else "mend that, or choose another folder"
        reason = error.strerror or error
        raise UserError(f"{path}: cannot be written ({reason}); {remedy}, then {then}") from error


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps file descriptor 2 silent within the context; what was written there is shown if it raises.

    The noise of TensorFlow and MediaPipe comes from C++ before any logging setting of theirs is heeded.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as unseen:
        kept = os.dup(2)
        os.dup2(unseen.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            unseen.seek(0)
            with open(2, "wb", closefd=False) as stderr:
                shutil.copyfileobj(unseen, stderr)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def run_command(main: Callable[[], int | None]) -> None:
    """Runs a command's ``main`` and exits with its status; None: success.

    A ``UserError``, a full disk, or a file that the system will not let us read or write becomes one line and
    status 2; a signal becomes one line and its own status.
    """
    try:
        status = main()
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        status = USAGE_ERROR
    except Stopped as stop:
        print(stop, file=sys.stderr)
        status = 128 + stop.number
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        sys.stdout = None
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if error.filename is not None:
            print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        elif error.errno in DISK_FULL:
            print(f"error: {error.strerror}: make room on the disk, then try again", file=sys.stderr)
        else:  # not about a file of the user's
            raise
        status = USAGE_ERROR
    sys.exit(status)
