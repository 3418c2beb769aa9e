"""How learning rates change over a training: with its steps, and with what validation says."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import CosineDecay, CosineDecayRestarts, LearningRateSchedule

from sign_keras.config.training import PlateauConfig, ScheduleConfig, improves_downwards
from sign_keras.training.state import TrainingState


class ConstantRate(LearningRateSchedule):
    """A rate that stays, times ``share``, a variable that starts at 1 and that a callback may lower."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self._learning_rate = learning_rate
        self.share = keras.Variable(1.0, trainable=False, aggregation="only_first_replica", name="share")

    def __call__(self, step: Any) -> Any:
        """The rate; scalar float32."""
        del step
        return self._learning_rate * ops.convert_to_tensor(self.share)


class LinearWarmup(LearningRateSchedule):
    """Rises in equal steps to ``peak``, then follows another schedule from its own beginning.

    Of ``W`` warm-up steps, step ``i`` (from 0) has ``(i + 1) / (W + 1)`` of the peak: none is wasted on a rate of
    0. Own code, as ``keras.optimizers.schedules`` has a warm-up in ``CosineDecay`` alone.

    Args:
        peak: the rate at the end of the warm-up.
        warmup_steps: ``W``.
        after: what follows.
    """

    def __init__(self, peak: float, warmup_steps: int, after: LearningRateSchedule) -> None:
        super().__init__()
        self._peak, self._warmup_steps, self._after = peak, warmup_steps, after

    def __call__(self, step: Any) -> Any:
        """The rate; scalar float32."""
        step = ops.cast(step, "float32")
        rising = self._peak * (step + 1) / (self._warmup_steps + 1)
        after = self._after(ops.maximum(step - self._warmup_steps, 0.0))
        return ops.where(step < self._warmup_steps, rising, after)


def build_schedule(
    config: ScheduleConfig, learning_rate: float, *, epochs: int, updates_per_epoch: int
) -> tuple[LearningRateSchedule, ConstantRate | None]:
    """The schedule that a configuration describes, by updates of the weights.

    Args:
        config: the ``train.schedule`` section.
        learning_rate: the largest rate.
        epochs: of the whole training; the cosine ends with them.
        updates_per_epoch: to turn epochs into updates.

    Returns:
        The schedule, and the part of it that ``LowerOnPlateau`` works on, for ``plateau``. Within a distribution
        strategy's scope: it may hold a variable.
    """
    warmup_steps = round(config.warmup_epochs * updates_per_epoch)
    constant = None
    schedule: LearningRateSchedule
    if config.name == "cosine":
        steps = max(1, epochs * updates_per_epoch - warmup_steps)
        schedule = CosineDecay(learning_rate, steps, alpha=config.final_share)
    elif config.name == "cosine_restarts":
        schedule = CosineDecayRestarts(
            learning_rate,
            max(1, round(config.first_period_epochs * updates_per_epoch)),
            t_mul=config.period_multiplier,
            m_mul=config.decay,
            alpha=config.final_share,
        )
    else:
        schedule = constant = ConstantRate(learning_rate)
    if warmup_steps:
        schedule = LinearWarmup(learning_rate, warmup_steps, schedule)
    return schedule, constant if config.name == "plateau" else None


def plateau_share(values: Iterable[float], config: PlateauConfig, *, downwards: bool) -> float:
    """What is left of the learning rate after epochs with these monitored values.

    The rule of ``keras.callbacks.ReduceLROnPlateau``, as a function of the history: that callback keeps its count
    to itself, so a resumed training would begin to wait anew, and it overwrites a warm-up.

    Args:
        values: one an epoch.
        config: patience and factor.
        downwards: whether less is better.
    """
    share, best, waited = 1.0, None, 0
    for value in values:
        if best is None or (best - value if downwards else value - best) > config.min_delta:
            best, waited = value, 0
            continue
        waited += 1
        if waited >= config.patience:
            share, waited = max(share * config.factor, config.min_share), 0
    return share


class LowerOnPlateau(keras.callbacks.Callback):
    """Lowers the learning rate where the training's history says so; goes after what extends the history.

    Args:
        rate: what to lower.
        config: when, and by how much.
        monitor: a column of the history.
        state: holds the history.
    """

    def __init__(self, rate: ConstantRate, config: PlateauConfig, monitor: str, state: TrainingState) -> None:
        super().__init__()
        self._rate, self._config, self._state = rate, config, state
        self._monitor = config.monitor or monitor

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Where a resumed training stands."""
        del logs
        self._lower()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """After each epoch."""
        del epoch, logs
        self._lower()

    def _lower(self) -> None:
        values = [row[self._monitor] for row in self._state.history]
        downwards = improves_downwards(self._monitor)
        self._rate.share.assign(plateau_share(values, self._config, downwards=downwards))
