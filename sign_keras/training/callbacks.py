"""Guards and records of a training: non-finite losses, ``history.csv``, times, a progress bar."""

import csv
import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

from sign_keras.training.checkpoints import GO_ON
from sign_keras.training.state import TrainingState
from tfrecords_tools.command_line import UserError
from tfrecords_tools.journal import write_atomically

# What an epoch's line says beside the loss: the first that is logged.
SCORES = {"top-1": "top1", "WER": "wer"}
# What a clock measures: no two trainings agree in these.
MEASURED = ("seconds", "input_wait")
# A larger share of waiting is worth a word: so much shorter could training be with quicker records. Below a fifth,
# a network of another size, or another cache, moves more than what could be gained.
INPUT_BOUND = 0.2


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Stops with the step named when the loss is no finite number any more."""

    def __init__(self, steps_per_epoch: int) -> None:
        super().__init__()
        self._steps_per_epoch = steps_per_epoch
        self._epoch = 0
        self._last_finite = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remembers the epoch."""
        del logs
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Checks the running loss.

        Raises:
            UserError: it is not finite.
        """
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            self._last_finite = loss
            return
        step = self._epoch * self._steps_per_epoch + batch + 1
        raise UserError(
            f"the loss became {loss} at step {step} (epoch {self._epoch + 1}, batch {batch + 1}; it was "
            f"{self._last_finite:.4g} before); lower train.learning_rate, or use train.precision=float32"
        )


class EpochTimes(keras.callbacks.Callback):
    """Adds ``learning_rate``, ``learning_rate_STAGE``, ``seconds`` and ``input_wait`` to what an epoch logs.

    ``seconds`` are the whole epoch's; ``input_wait`` is the share of its training, without validation, in which the
    next batch was waited for.

    Args:
        learning_rates: of stages with their own, as configured.
        learning_rate: of the others, as configured.
        state: told how long the epoch's training has taken; goes on from there. Knows what was waited.
    """

    def __init__(self, learning_rates: Mapping[str, float], learning_rate: float, state: TrainingState) -> None:
        super().__init__()
        self._state = state
        self._scales = {name: rate / learning_rate for name, rate in learning_rates.items()}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts the clock."""
        del epoch, logs
        self._start = time.perf_counter() - self._state.seconds

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Tells the state."""
        del batch, logs
        self._state.seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes into the logs that later callbacks see."""
        del epoch
        if logs is not None:
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            logs["learning_rate"] = rate
            logs |= {f"learning_rate_{name}": scale * rate for name, scale in self._scales.items()}
            logs["seconds"] = time.perf_counter() - self._start
            logs["input_wait"] = self._state.waited / self._state.seconds if self._state.seconds else 0.0


class HistoryCSV(keras.callbacks.Callback):
    """Writes ``history.csv`` from the training's state, so a resumed run has each epoch once."""

    def __init__(self, path: Path, state: TrainingState) -> None:
        super().__init__()
        self._path, self._state = path, state

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the whole table anew."""
        del epoch, logs
        self.write()

    def write(self) -> None:
        """Makes the table what the state knows; without an epoch there is none.

        Raises:
            UserError: it cannot be written.
        """
        if not self._state.history:
            self._path.unlink(missing_ok=True)
            return
        table = io.StringIO()
        # Epochs that an earlier version trained may lack columns.
        names = dict.fromkeys(name for row in self._state.history for name in row)
        writer = csv.DictWriter(table, list(names), lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(self._state.history)
        write_atomically(self._path, table.getvalue(), GO_ON)


class Progress(keras.callbacks.Callback):
    """A bar over the steps of all epochs where there is a terminal, and one line an epoch everywhere."""

    def __init__(self, *, epochs: int, steps_per_epoch: int, state: TrainingState) -> None:
        super().__init__()
        self._epochs, self._state = epochs, state
        self._bar = tqdm(
            total=epochs * steps_per_epoch,
            initial=state.epoch * steps_per_epoch + state.batch,
            desc="training",
            unit="step",
            disable=None,
        )

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Moves the bar."""
        del batch
        self._bar.update()
        self._bar.set_postfix_str(f"loss {float((logs or {}).get('loss', 0)):.3f}", refresh=False)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Prints the epoch."""
        logs = logs or {}
        best = "  best so far" if self._state.best_epoch == epoch + 1 else ""
        waited = logs["input_wait"]
        waiting = f", {waited:.0%} of training spent waiting for clips" if waited > INPUT_BOUND else ""
        name, score = next((name, score) for name, score in SCORES.items() if score in logs)
        tqdm.write(
            f"epoch {epoch + 1:>3}/{self._epochs}  loss {logs['loss']:.3f}  {name} {logs[score]:.3f}  "
            f"validation loss {logs['val_loss']:.3f}  {name} {logs[f'val_{score}']:.3f}  "
            f"{logs['seconds']:.0f} s{waiting}{best}"
        )

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Closes the bar."""
        del logs
        self._bar.close()
