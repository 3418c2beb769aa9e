"""TensorBoard's event files of a run that goes on: what they say of epochs that are trained again is taken out.

A kill may come after an epoch's scalars were written and before the epoch was saved.
"""

from pathlib import Path

import tensorflow as tf

from sign_keras.training.checkpoints import GO_ON
from tfrecords_tools.command_line import writing
from tfrecords_tools.tfrecord import TFRecordError, read_records, write_record

PATTERN = "events.out.tfevents.*"
# What Keras writes by updates; all else is by epochs.
BY_UPDATES = "_vs_iterations"


def forget_epochs(directory: Path, first: int, updates_per_epoch: int) -> None:
    """Takes out of all files below a folder what is of epochs from ``first`` (from 0) on, and what a kill cut off.

    Files without any of it stay as they are; each other is replaced by a whole one.

    Args:
        directory: of TensorBoard's files; may be missing.
        first: the first epoch that is forgotten.
        updates_per_epoch: to know epochs by their updates.

    Raises:
        UserError: a file cannot be written.
    """
    for path in sorted(directory.rglob(PATTERN)):
        kept, is_whole, num_found = [], True, 0
        try:
            for record in read_records(path):
                num_found += 1
                if not _is_of(record, first, updates_per_epoch):
                    kept.append(record)
        except TFRecordError:
            is_whole = False
        if is_whole and len(kept) == num_found:
            continue
        with writing(path, GO_ON):
            partial = path.with_name(f".partial.{path.name.replace('tfevents', 'events')}")
            with partial.open("wb") as file:
                for record in kept:
                    write_record(file, record)
            partial.replace(path)


def _is_of(record: bytes, first: int, updates_per_epoch: int) -> bool:
    event = tf.compat.v1.Event.FromString(record)
    for value in event.summary.value:
        if value.tag == "config":
            return False
        last = first * updates_per_epoch if value.tag.endswith(BY_UPDATES) else first - 1
        return bool(event.step > last)
    return False
