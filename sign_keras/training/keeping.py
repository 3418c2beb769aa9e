"""When a training is saved: at the ends of epochs, every so many minutes, and when it is told to stop."""

import time
from collections.abc import Mapping

import keras

from sign_keras.config.training import TrainConfig, improves_downwards
from sign_keras.training.checkpoints import Checkpoints
from sign_keras.training.signals import StopSignals
from sign_keras.training.state import TrainingState, metric_values
from sign_keras.training.workers import Workers


class KeepCheckpoints(keras.callbacks.Callback):
    """Moves the training's state on and saves it; keeps the best weights, and stops when nothing improves.

    Goes after what puts other weights into the model while it is validated, and after ``EpochTimes``.

    Args:
        checkpoints: where it is saved.
        state: as restored.
        config: the ``train`` section.
        batches: of an epoch.
        workers: that take each step together.
        signals: say when to stop; None: nobody does. What one worker is told, all are.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        state: TrainingState,
        config: TrainConfig,
        batches: int,
        workers: Workers,
        signals: StopSignals | None = None,
    ) -> None:
        super().__init__()
        self._checkpoints, self.state, self._signals = checkpoints, state, signals
        self._monitor, self._patience = config.monitor, config.early_stopping_patience
        self._batches, self._workers, self._is_told = batches, workers, False
        self._seconds = None if config.checkpoint_minutes is None else 60 * config.checkpoint_minutes
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stops between epochs, with all saved."""
        del epoch, logs
        self._ask()
        self._stop_if_told()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Saves when it is time to; ``batch`` counts from 0."""
        del logs
        self.state.batch = batch + 1
        is_due = self._ask()
        if is_due or self._is_told:
            self.state.metrics = metric_values(self.model, self._workers)
            self._save()
        self._stop_if_told()

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Notes what training has counted: validation counts with the same metrics."""
        del logs
        self.state.metrics = metric_values(self.model, self._workers)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Cuts validation short."""
        del batch, logs
        self._ask()
        if self._is_told:
            self.model.stop_evaluating = True

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Saves an epoch of which validation is missing."""
        del logs
        if self._is_told:
            self._save()
        self._stop_if_told()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Extends the history and saves the epoch; ``epoch`` counts from 0."""
        state, row = self.state, {name: float(value) for name, value in (logs or {}).items()}
        state.epoch, state.batch, state.metrics = epoch + 1, 0, []
        state.seconds = state.waited = 0.0
        state.history.append({"epoch": epoch + 1, **row})
        value = row[self._monitor]
        is_best = state.best_value is None or (
            value < state.best_value if improves_downwards(self._monitor) else value > state.best_value
        )
        if is_best:
            state.best_value, state.best_epoch = value, epoch + 1
        self._save(is_best=is_best)
        if self.is_exhausted:
            self.model.stop_training = True

    @property
    def is_exhausted(self) -> bool:
        """Whether early stopping has ended the training, as far as the state tells."""
        return self.state.best_epoch > 0 and self.state.epoch - self.state.best_epoch >= self._patience

    def _ask(self) -> bool:
        """Notes whether any worker is told to stop; whether the first one's clock says that it is time to save."""
        is_told = self._signals is not None and self._signals.is_received
        waited = time.monotonic() - self._saved_at
        is_due = self._workers.is_chief and self._seconds is not None and waited >= self._seconds
        self._is_told, is_due = self._workers.any(is_told, is_due)
        return is_due

    def _save(self, *, is_best: bool = False) -> None:
        self._checkpoints.save(self.model, self.state, is_best=is_best)
        self._saved_at = time.monotonic()

    def _stop_if_told(self) -> None:
        if self._signals is not None and self._is_told:
            self._workers.wait()  # until all is saved
            of = f" of {self._batches}" if self.state.batch else ""
            self._signals.stop(f"training is saved after {self.state.place}{of}")
