"""From a configuration and a model to a learner that is ready to fit: ``docs/training.md`` in code."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from sign_keras.config import TrainConfig
from sign_keras.models.stages import with_stages
from sign_keras.training.adversarial import AdversarialWeights, StartAdversarialWeights
from sign_keras.training.averaging import ValidateAverages, WeightAverages
from sign_keras.training.confusion import ConfusionCounts
from sign_keras.training.freezing import Freezing, UnfreezeStages, running_statistics
from sign_keras.training.gradient_norms import GradientNorms, LogGradientNorms
from sign_keras.training.late_dropout import StartLateDropout
from sign_keras.training.learner import Learner
from sign_keras.training.loss_weighting import LogLossWeights, build_weighting
from sign_keras.training.objectives import Objective
from sign_keras.training.optimizers import build_optimizer, decays, plan_weights, stage_of_weights
from sign_keras.training.schedules import ConstantRate, LowerOnPlateau, build_schedule
from sign_keras.training.stage_learning import StageLearning
from sign_keras.training.stage_losses import StageLosses
from sign_keras.training.state import TrainingState
from tfrecords_tools.command_line import UserError

# Of a model in stages: the layer in front of all of them.
SHARED_STAGE = "projection"


@dataclass(frozen=True)
class Recipe:
    """A model that is ready to learn, and what it does while it learns.

    Attributes:
        learner: compiled, with its optimiser's state in place: weights of a checkpoint can be loaded into it.
        config: the ``train`` section.
        freezing: what learns when.
        plateau: what falls when validation stops improving; None for other schedules.
        confusion: counts of each validation; None where no answer is one gloss.
    """

    learner: Learner
    config: TrainConfig
    freezing: Freezing
    plateau: ConstantRate | None
    confusion: ConfusionCounts | None

    def callbacks_before_saving(self) -> list[keras.callbacks.Callback]:
        """Callbacks that set up an epoch and its validation."""
        averages, stages, norms = self.learner.averages, self.learner.stages, self.learner.gradient_norms
        return [
            UnfreezeStages(self.freezing),
            StartLateDropout(),
            StartAdversarialWeights(),
            *([] if averages is None else [ValidateAverages(averages)]),
            *([] if stages is None else [LogLossWeights(stages.weighting)]),
            *([] if norms is None else [LogGradientNorms(norms)]),
        ]

    def callbacks_after_saving(self, state: TrainingState) -> list[keras.callbacks.Callback]:
        """Callbacks that act on the history, once the epoch is in it."""
        if self.plateau is None or self.config.schedule.name != "plateau":
            return []
        return [LowerOnPlateau(self.plateau, self.config.schedule, self.config.monitor, state)]


def prepare(model: keras.Model, config: TrainConfig, *, updates_per_epoch: int, objective: Objective) -> Recipe:
    """Makes a model ready to learn as a configuration says; within the distribution strategy's scope.

    Args:
        model: functional; gives logits.
        config: the ``train`` section.
        updates_per_epoch: updates of the weights.
        objective: what it learns to do.

    Raises:
        UserError: a stage is named that there is not, or nothing would learn.
    """
    freezing = Freezing(model, config)
    schedule, plateau = build_schedule(
        config.schedule, config.learning_rate, epochs=config.epochs, updates_per_epoch=updates_per_epoch
    )
    learner = Learner(model, config.accumulate_steps)
    # The optimiser's state covers all weights that ever learn, so that it need not change when some begin to.
    weights = freezing.ever_learning()
    if config.l2:
        for weight in filter(decays, weights):
            weight.regularizer = keras.regularizers.L2(config.l2)
    averaged = [*weights, *running_statistics(model)]
    plans = plan_weights(
        model,
        weights,
        learning_rate=config.learning_rate,
        learning_rates=config.learning_rates,
        first_update=lambda stage: (freezing.first_epoch(stage) - 1) * updates_per_epoch,
    )
    learner.compile(
        optimizer=build_optimizer(config.optimizer, schedule, config.gradient_clip_norm, plans),
        loss=objective.loss,
        metrics=objective.metrics,
        # XLA makes depthwise convolutions ten times slower on a CPU; on a GPU "auto" decides well.
        jit_compile="auto" if objective.compiles and tf.config.list_physical_devices("GPU") else False,
    )
    learner.optimizer.build(weights)
    if config.ema_decay is not None:
        learner.averages = WeightAverages(learner.optimizer, averaged, config.ema_decay)
    if config.adversarial_weights is not None:
        learner.adversary = AdversarialWeights(config.adversarial_weights)
    stages = stage_of_weights(model)
    learner.gradient_norms = GradientNorms(
        {id(weight): stages[id(weight)] for weight in weights}, learner.optimizer
    )
    learner.confusion = objective.confusion
    if objective.stages is not None:
        learner.stages = _stage_learning(model, config, objective.stages, learner.optimizer)
    freezing.set_epoch(1)
    return Recipe(learner, config, freezing, plateau, objective.confusion)


def _stage_learning(
    model: keras.Model, config: TrainConfig, losses: StageLosses, optimizer: keras.optimizers.Optimizer
) -> StageLearning:
    """How a model in stages learns by several losses.

    Raises:
        UserError: losses cannot be balanced as the configuration says.
    """
    weighting = build_weighting(config, losses.names, optimizer)
    shared = list(model.get_layer(SHARED_STAGE).trainable_variables)
    if weighting.needs_gradients and not shared:
        raise UserError(
            f"train.loss_weighting=gradnorm: balances gradients at the stage {SHARED_STAGE}, which is frozen; let "
            "it learn, or take another weighting"
        )
    return StageLearning(with_stages(model), losses, weighting, shared)
