"""The files of ``data.cache``: filled by one process at a time, and never taken for whole when they are not.

``tf.data`` marks files that it has not finished by a lock file, which outlives a process that was killed: every
training after it would be refused. Here the system's own lock says whether somebody fills them still.
"""

import hashlib
from pathlib import Path
from typing import IO

from tfrecords_tools.command_line import writing
from tfrecords_tools.dataset_info import DatasetInfo
from tfrecords_tools.journal import folder_lock

# Locks by what they lock; the system lifts them when this process ends, however it ends.
_held: dict[Path, IO[str]] = {}


def claim_cache(folder: Path, info: DatasetInfo, split: str) -> Path:
    """What a cache's files begin with, for ``tf.data.Dataset.cache``; what a kill left of them is removed.

    Args:
        folder: where they are; made where it is missing.
        info: of the records: other records have another cache.
        split: of these.

    Raises:
        UserError: another process fills them, or nobody can.
    """
    digest = hashlib.sha256(info.model_dump_json().encode()).hexdigest()[:12]
    prefix = (folder / f"{info.name}-{split}-{digest}").absolute()
    if prefix in _held or _is_whole(prefix):
        return prefix
    lock_path = folder / f".{prefix.name}.lock"
    with writing(lock_path):
        folder.mkdir(parents=True, exist_ok=True)
    _held[prefix] = folder_lock(
        lock_path,
        f"data.cache={folder}: another training is filling it; wait for its first epoch to end, or name another "
        "folder",
    )
    if not _is_whole(prefix):
        for leftover in folder.glob(f"{prefix.name}*"):
            leftover.unlink()
    return prefix


def _is_whole(prefix: Path) -> bool:
    """Whether its index is there, which ``tf.data`` writes last."""
    return prefix.with_name(f"{prefix.name}.index").exists()
