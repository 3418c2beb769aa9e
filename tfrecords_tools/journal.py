"""The journal of a conversion: which shards are whole, and what became of their clips.

It makes ``convert`` resumable: a shard that is in the journal under the same fingerprint is not made again.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import pydantic

from tfrecords_tools.clips import Clip
from tfrecords_tools.command_line import UserError, writing
from tfrecords_tools.dataset_info import FILE_NAME, SHARD_PATTERN
from tfrecords_tools.tally import ShardReport

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two conversions apart there
    fcntl = None  # type: ignore[assignment]

JOURNAL_NAME = ".conversion"


class Journal:
    """The journal in one output folder, held by one process at a time; to be closed."""

    def __init__(self, output: Path, identity: dict[str, Any]) -> None:
        """Opens or starts the journal.

        Args:
            output: the records' folder.
            identity: what makes two runs the same conversion; plain JSON values.

        Raises:
            UserError: the folder holds another conversion or records without a journal, another process is
                writing there, or nobody can.
        """
        self._output = output
        self._directory = output / JOURNAL_NAME
        path = self._directory / "settings.json"
        text = json.dumps(identity, indent=1, sort_keys=True)
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise UserError(
                f"{output}: holds a conversion with other settings (see {path}); choose another --output, or "
                "delete that folder"
            )
        if not path.exists() and _holds_records(output):
            raise UserError(f"{output}: holds records that convert did not write; choose another --output")
        with writing(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = self._acquire_lock()
        try:
            write_atomically(path, text)
        except UserError:
            self.close()
            raise

    def _acquire_lock(self) -> IO[str]:
        taken = f"{self._output}: another convert is writing there; wait for it"
        return folder_lock(self._directory / "lock", taken)

    def close(self) -> None:
        """Lets other processes have the folder."""
        self._lock.close()

    def find(self, shard_name: str, fingerprint: str) -> ShardReport | None:
        """See ``find_entry``."""
        return find_entry(self._output, shard_name, fingerprint)

    def add(self, shard_name: str, report: ShardReport) -> None:
        """See ``add_entry``."""
        add_entry(self._output, shard_name, report)

    def remove_others(self, shard_names: Iterable[str]) -> None:
        """Deletes shards of an earlier plan (clips came or went since), and what a kill left over."""
        keep = set(shard_names)
        for entry in self._directory.glob("*.tfrecord-*.json"):
            if entry.stem not in keep:
                (self._output / entry.stem).unlink(missing_ok=True)
                entry.unlink()
        for partial in [*self._output.glob(".*.partial"), *self._directory.glob(".*.partial")]:
            partial.unlink()


def folder_lock(path: Path, taken: str) -> IO[str]:
    """Holds a lock until the file that it returns is closed, or this process ends.

    Args:
        path: of the lock, in a folder that is there.
        taken: what to say where another process holds it.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    with writing(path):
        lock = path.open("w")
    if fcntl is not None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lifts it when the process dies
        except BlockingIOError:
            lock.close()
            raise UserError(taken) from None
        except OSError:  # a file system without locks
            pass
    return lock


def find_entry(output: Path, shard_name: str, fingerprint: str) -> ShardReport | None:
    """The report of a shard that is whole and was made from the same clips; else None.

    Entries are whole files, so processes on other machines read and add them without the journal's lock.
    """
    try:
        text = (output / JOURNAL_NAME / f"{shard_name}.json").read_text(encoding="utf-8")
        report = ShardReport.model_validate_json(text)
        num_bytes = (output / shard_name).stat().st_size
    except (FileNotFoundError, pydantic.ValidationError):
        return None
    return report if (report.fingerprint, report.num_bytes) == (fingerprint, num_bytes) else None


def add_entry(output: Path, shard_name: str, report: ShardReport) -> None:
    """Enters a shard that has just got its final name in ``output``."""
    write_atomically(output / JOURNAL_NAME / f"{shard_name}.json", report.model_dump_json())


def _holds_records(output: Path) -> bool:
    if not output.is_dir():
        return False
    return any(path.name == FILE_NAME or SHARD_PATTERN.fullmatch(path.name) for path in output.iterdir())


def file_state(clip: Clip) -> tuple[int, int]:
    """Size and modification time in nanoseconds of a clip's file; zeros where it is missing."""
    try:
        status = os.stat(clip.path)
    except OSError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)


def write_atomically(path: Path, text: str, then: str = "try again") -> None:
    """Writes a text file under a temporary name, then renames it; ``then`` as for ``writing``.

    Raises:
        UserError: it cannot be written; what was there under its name still is.
    """
    partial = path.with_name(f".{path.name}.partial")
    with writing(path, then):
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
    partial.replace(path)
