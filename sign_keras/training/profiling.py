"""TensorFlow's profiler over some updates: what the machine does in them, in TensorBoard's profile plugin."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm


class ProfileSteps(keras.callbacks.Callback):
    """Traces a range of updates; each is a step in the trace.

    Keras's ``TensorBoard(profile_batch=...)`` counts from where a process begins, and leaves the profiler running
    where an error ends the training.

    Args:
        directory: TensorBoard's of the run.
        first, last: updates, counted from 1 over the whole training. A training that goes on within the range
            traces what is left of it; one that ends there, what there was.
        updates_per_epoch: to count them by.
    """

    def __init__(self, directory: Path, first: int, last: int, updates_per_epoch: int) -> None:
        super().__init__()
        self._directory, self._range, self._updates_per_epoch = directory, range(first, last + 1), updates_per_epoch
        self._epoch = 0
        self._profiler = ExitStack()
        self._step = ExitStack()
        self._is_on = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remembers the epoch."""
        del logs
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Begins with the first update of the range."""
        del logs
        update = self._epoch * self._updates_per_epoch + batch + 1
        if update not in self._range:
            return
        if not self._is_on:
            self._is_on = True
            self._profiler.enter_context(tf.profiler.experimental.Profile(str(self._directory)))
        self._step.enter_context(tf.profiler.experimental.Trace("train", step_num=update, _r=1))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Ends behind the last."""
        del logs
        self._step.close()
        if self._is_on and self._epoch * self._updates_per_epoch + batch + 1 >= self._range[-1]:
            self.close()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Ends with the epoch's training: validation is no update."""
        del logs
        self.close()

    def close(self) -> None:
        """Writes what was traced; also where an error ended the training."""
        self._step.close()
        if not self._is_on:
            return
        self._is_on = False
        self._profiler.close()
        tqdm.write(f"profile of updates {self._range[0]} to {self._range[-1]}: {self._directory}/plugins/profile")
