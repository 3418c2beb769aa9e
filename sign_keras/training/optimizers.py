"""Keras's optimisers, with a plan for every weight: its learning rate, its decay, when it begins to learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from sign_keras.config.training import OptimizerConfig

NORMALISATION_WEIGHTS = ("gamma", "beta", "scale")


@dataclass(frozen=True)
class WeightPlan:
    """How one weight learns.

    Attributes:
        rate_scale: its learning rate, as a multiple of the optimiser's.
        decays: whether weight decay applies.
        first_update: updates of the whole model that come before its own first.
    """

    rate_scale: float
    decays: bool
    first_update: int


def decays(variable: keras.Variable) -> bool:
    """Whether weight decay makes sense: biases and what normalisation layers learn are no connections.

    Usual since Goyal et al. 2017, arXiv:1706.02677, section 5.3; for biases, He et al. 2018, arXiv:1812.01187, 3.1.
    """
    name = variable.name
    return len(variable.shape) > 1 and not name.endswith("bias") and name not in NORMALISATION_WEIGHTS


class _Planned(keras.optimizers.Optimizer):
    """An optimiser that updates every weight by its ``WeightPlan``.

    Keras has one learning rate for an optimiser. Its ``MultiOptimizer`` clips each group's gradient by itself, and
    cannot leave frozen weights out. Gradients must come summed over all replicas, as ``Learner`` gives them: Keras
    would clip each replica's, and look for non-finite values in the first's alone.
    """

    _plans: tuple[WeightPlan, ...]
    _decay: float

    def follow(self, plans: Sequence[WeightPlan], decay: float) -> None:
        """Sets the plans, in the order of the weights that the optimiser will be built with."""
        self._plans, self._decay = tuple(plans), decay

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One weight's update; decay first, as in AdamW."""
        plan = self._plans[self._get_variable_index(variable)]
        rate = ops.cast(learning_rate, variable.dtype)
        if plan.rate_scale != 1:
            rate = rate * plan.rate_scale
        if self._decay and plan.decays:
            self.assign_sub(variable, variable * rate * self._decay)
        super().update_step(gradient, variable, self._begun_late(rate, plan))

    def _begun_late(self, rate: Any, plan: WeightPlan) -> Any:
        """The rate of a weight whose state is younger than the optimiser's count of updates."""
        del plan
        return rate

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars  # summed already


class _PlannedAdam(_Planned):
    """Adam whose bias correction counts each weight's own updates.

    With the optimiser's count, a weight that begins to learn late would make first steps of up to
    ``sqrt(1 - beta_2) / (1 - beta_1)``, about three times too long: the last thing that pretrained weights need.
    """

    def _begun_late(self, rate: Any, plan: WeightPlan) -> Any:
        if not plan.first_update:
            return rate
        updates = ops.cast(self.iterations + 1, rate.dtype)
        own = ops.maximum(updates - plan.first_update, 1.0)
        return rate * self._correction(own) / self._correction(updates)

    def _correction(self, updates: Any) -> Any:
        """``sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)``; Kingma and Ba 2015, arXiv:1412.6980, section 2."""
        beta_1, beta_2 = (ops.cast(beta, updates.dtype) for beta in (self.beta_1, self.beta_2))
        return ops.sqrt(1 - beta_2**updates) / (1 - beta_1**updates)


class PlannedAdam(_PlannedAdam, keras.optimizers.Adam):
    """``keras.optimizers.Adam`` by ``WeightPlan``; AdamW too, as Keras's decay is decoupled everywhere."""


class PlannedSGD(_Planned, keras.optimizers.SGD):
    """``keras.optimizers.SGD`` by ``WeightPlan``."""


def build_optimizer(
    config: OptimizerConfig, schedule: LearningRateSchedule, clip_norm: float | None, plans: Sequence[WeightPlan]
) -> keras.optimizers.Optimizer:
    """The optimiser that a configuration describes, not built yet.

    Args:
        config: the ``train.optimizer`` section.
        schedule: of the learning rate.
        clip_norm: the longest that a gradient over all weights may be; None: no limit.
        plans: one for each weight that it will be built with.
    """
    optimizer: _Planned
    if config.name == "sgd":
        optimizer = PlannedSGD(
            schedule, momentum=config.momentum, nesterov=config.nesterov, global_clipnorm=clip_norm
        )
    else:
        optimizer = PlannedAdam(
            schedule,
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            epsilon=config.epsilon,
            global_clipnorm=clip_norm,
        )
    optimizer.follow(plans, 0.0 if config.name == "adam" else config.weight_decay)
    return optimizer


def stage_of_weights(model: keras.Model) -> dict[int, str]:
    """The stage (the model's top-level layer) of each weight, by its identity."""
    return {id(variable): layer.name for layer in model.layers for variable in layer.variables}


def plan_weights(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    *,
    learning_rate: float,
    learning_rates: dict[str, float],
    first_update: Callable[[str], int],
) -> list[WeightPlan]:
    """A plan for each weight, by the stage that it belongs to.

    Args:
        model: whose weights they are.
        variables: the weights.
        learning_rate: the optimiser's.
        learning_rates: of single stages, by name.
        first_update: how many updates pass before a stage's first.
    """
    stages = stage_of_weights(model)
    return [
        WeightPlan(
            rate_scale=learning_rates.get(stage, learning_rate) / learning_rate,
            decays=decays(variable),
            first_update=first_update(stage),
        )
        for variable in variables
        for stage in [stages[id(variable)]]
    ]
