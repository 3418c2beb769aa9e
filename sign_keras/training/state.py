"""Where a training stands, beside its weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from sign_keras.training.workers import Workers


@dataclass
class TrainingState:
    """What a training knows beside its weights.

    Attributes:
        epoch: epochs that have ended.
        batch: batches of the next one that have been learnt from.
        best_value: of the monitored quantity; None before the first epoch.
        best_epoch: when that was, from 1; 0 where there is none.
        history: one row an epoch, as in ``history.csv``.
        weights_digest: SHA-256 of the weights file that belongs to it.
        best_digest: likewise of the best epoch's file.
        random_state: of every seed generator (dropout has one); Keras leaves these out of its weights files.
        metrics: within an epoch, what its metrics have counted so far: each variable's values, one a device.
        seconds: how long the epoch has taken so far.
        waited: how many of these seconds the next batch was waited for.
    """

    epoch: int = 0
    batch: int = 0
    best_value: float | None = None
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    weights_digest: str = ""
    best_digest: str = ""
    random_state: list[list[int]] = field(default_factory=list)
    metrics: list[list] = field(default_factory=list)
    seconds: float = 0.0
    waited: float = 0.0

    @property
    def place(self) -> str:
        """In words."""
        return f"epoch {self.epoch + 1}, batch {self.batch}" if self.batch else f"epoch {self.epoch}"


def metric_values(model: keras.Model, workers: Workers) -> list[list]:
    """What a model's metrics have counted, as ``TrainingState`` has it; all workers call it."""
    return [values.tolist() for values in workers.values_of_all(model.metrics_variables)]


def set_metrics(model: keras.Model, values: Sequence[Sequence], workers: Workers) -> None:
    """Has a model's metrics go on from there; on other devices than before, the first takes all.

    What an earlier version did not count, the last of them, begins where the epoch goes on.
    """
    for variable, saved in zip(model.metrics_variables[: len(values)], values, strict=True):
        if len(saved) != workers.devices:
            # What metrics count is summed over devices.
            total = np.sum(saved, axis=0)
            saved = [total, *[np.zeros_like(total)] * (workers.devices - 1)]
        parts = workers.strategy.experimental_local_results(variable.value)
        mine = saved[workers.first_device : workers.first_device + workers.local_devices]
        for part, value in zip(parts, mine, strict=True):
            part.assign(tf.cast(value, part.dtype))
