"""How a model learns. ``docs/training.md`` explains every field, with its source."""

from typing import Annotated, Any, Literal, Self

import pydantic

from tfrecords_tools.settings import Settings

Positive = Annotated[float, pydantic.Field(gt=0)]
Share = Annotated[float, pydantic.Field(ge=0, lt=1)]
LearningRate = Annotated[float, pydantic.Field(gt=0, le=1)]
StageNames = tuple[str, ...]
Update = Annotated[int, pydantic.Field(ge=1)]
# TensorFlow's profiler keeps a million events at most, and a browser opens some tens of megabytes.
MOST_PROFILED = 100
Monitor = Literal["val_loss", "val_top1", "val_wer"]


def improves_downwards(monitor: str) -> bool:
    """Whether less of a monitored quantity is better: of losses and error rates, not of accuracies."""
    return monitor.endswith(("loss", "wer"))


def _named(default: str) -> pydantic.BeforeValidator:
    """Lets a section that ``name`` picks be given by its name alone, and without it where there is a default."""

    def complete(value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        return {"name": default, **value} if isinstance(value, dict) else value

    return pydantic.BeforeValidator(complete)


class AdamConfig(Settings):
    """Adam, Kingma and Ba 2015."""

    name: Literal["adam"] = "adam"
    beta_1: Share = 0.9
    beta_2: Share = 0.999
    epsilon: Positive = 1e-7


class AdamWConfig(Settings):
    """Adam with decoupled weight decay, Loshchilov and Hutter 2019."""

    name: Literal["adamw"]
    beta_1: Share = 0.9
    beta_2: Share = 0.999
    epsilon: Positive = 1e-7
    weight_decay: float = pydantic.Field(0.01, ge=0)


class SGDConfig(Settings):
    """Stochastic gradient descent with momentum; the weight decay is decoupled, as in AdamW."""

    name: Literal["sgd"]
    momentum: Share = 0.9
    nesterov: bool = False
    weight_decay: float = pydantic.Field(0.0, ge=0)

    @pydantic.model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


OptimizerConfig = Annotated[
    AdamConfig | AdamWConfig | SGDConfig, pydantic.Field(discriminator="name"), _named("adam")
]


class ConstantConfig(Settings):
    """The same rate throughout."""

    name: Literal["constant"]
    warmup_epochs: float = pydantic.Field(0.0, ge=0)


class CosineConfig(Settings):
    """Half a cosine over all epochs after the warm-up.

    Attributes:
        warmup_epochs: the rate rises in equal steps for so long.
        final_share: where the cosine ends, as a share of where it began.
    """

    name: Literal["cosine"] = "cosine"
    warmup_epochs: float = pydantic.Field(0.0, ge=0)
    final_share: float = pydantic.Field(0.0, ge=0, le=1)


class CosineRestartsConfig(Settings):
    """Half cosines with warm restarts, Loshchilov and Hutter 2017.

    Attributes:
        warmup_epochs: the rate rises in equal steps for so long, before the first period.
        first_period_epochs: length of the first half cosine.
        period_multiplier: each period is so many times as long as the one before.
        decay: each period begins at this share of the rate that the one before began at.
        final_share: where each cosine ends, as a share of ``train.learning_rate``.
    """

    name: Literal["cosine_restarts"]
    warmup_epochs: float = pydantic.Field(0.0, ge=0)
    first_period_epochs: float = pydantic.Field(10.0, gt=0)
    period_multiplier: float = pydantic.Field(2.0, ge=1)
    decay: float = pydantic.Field(1.0, gt=0, le=1)
    final_share: float = pydantic.Field(0.0, ge=0, le=1)


class PlateauConfig(Settings):
    """The rate falls whenever validation stops improving.

    Attributes:
        warmup_epochs: the rate rises in equal steps for so long.
        monitor: what has to improve; null: ``train.monitor``.
        factor: what the rate is multiplied by.
        patience: epochs without improvement before that.
        min_delta: a smaller change is no improvement.
        min_share: the rate never falls below this share of ``train.learning_rate``.
    """

    name: Literal["plateau"]
    warmup_epochs: float = pydantic.Field(0.0, ge=0)
    monitor: Monitor | None = None
    factor: float = pydantic.Field(0.1, gt=0, lt=1)
    patience: int = pydantic.Field(5, ge=1)
    min_delta: float = pydantic.Field(1e-4, ge=0)
    min_share: float = pydantic.Field(0.0, ge=0, le=1)


ScheduleConfig = Annotated[
    ConstantConfig | CosineConfig | CosineRestartsConfig | PlateauConfig,
    pydantic.Field(discriminator="name"),
    _named("cosine"),
]


class CrossentropyConfig(Settings):
    """Cross-entropy."""

    name: Literal["crossentropy"] = "crossentropy"


class FocalConfig(Settings):
    """Focal loss, Lin et al. 2017: clips that are right already count less.

    Attributes:
        gamma: how much less; 0 is cross-entropy.
        alpha: a factor of the whole loss; balance between glosses is ``train.class_weights``.
    """

    name: Literal["focal"]
    gamma: float = pydantic.Field(2.0, ge=0)
    alpha: float = pydantic.Field(1.0, gt=0)


LossConfig = Annotated[
    CrossentropyConfig | FocalConfig, pydantic.Field(discriminator="name"), _named("crossentropy")
]
# The tags make messages speak of the one that was meant.
ClassWeights = Annotated[
    Annotated[Literal["none", "balanced", "effective"], pydantic.Tag("rule")]
    | Annotated[dict[str, Positive], pydantic.Tag("gloss")],
    pydantic.Discriminator(lambda value: "gloss" if isinstance(value, dict) else "rule"),
]


class FixedWeightingConfig(Settings):
    """Losses weigh what ``train.loss_weights`` says."""

    name: Literal["fixed"] = "fixed"


class UncertaintyWeightingConfig(Settings):
    """Weights are learned as variances of the losses, Kendall et al. 2018; they begin at ``train.loss_weights``.

    Attributes:
        rate: the longest step of a logarithm of a variance.
    """

    name: Literal["uncertainty"]
    rate: float = pydantic.Field(0.025, gt=0, le=1)


class GradNormWeightingConfig(Settings):
    """Weights are such that all losses train at similar rates, Chen et al. 2018; they begin at
    ``train.loss_weights``, whose sum they keep.

    Attributes:
        alpha: how strongly losses that have fallen less are favoured; 0: all gradients are made equally long.
        rate: how much of the way towards the wanted weights each update goes.
    """

    name: Literal["gradnorm"]
    alpha: float = pydantic.Field(0.12, ge=0)
    rate: float = pydantic.Field(0.025, gt=0, le=1)


LossWeightingConfig = Annotated[
    FixedWeightingConfig | UncertaintyWeightingConfig | GradNormWeightingConfig,
    pydantic.Field(discriminator="name"),
    _named("fixed"),
]


class LossWeightsConfig(Settings):
    """How much each loss of a model with several counts.

    Attributes:
        alignment: of stage 1.
        selection: of stage 2.
        classification: of stage 3.
        ctc: of stage 4.
    """

    alignment: float = pydantic.Field(1.0, ge=0)
    selection: float = pydantic.Field(0.5, ge=0)
    classification: float = pydantic.Field(1.0, ge=0)
    ctc: float = pydantic.Field(2.0, ge=0)


class AdversarialWeightsConfig(Settings):
    """Gradients taken at the worst weights nearby, Wu et al. 2020.

    Attributes:
        delta: how near: this share of each weight's length.
        start_epoch: the first epoch of it, from 1.
    """

    delta: float = pydantic.Field(0.01, gt=0, le=1)
    start_epoch: int = pydantic.Field(1, ge=1)


class TrainConfig(Settings):
    """How the model learns.

    Stages are the model's top-level layers, by name (``stem``, ``layer1``, ``frame_features``, ``lstm``,
    ``logits``, ...). Epochs count from 1, as in ``history.csv``.

    Attributes:
        batch_size: clips computed at once, over all devices.
        accumulate_steps: so many batches make one update of the weights.
        learning_rate: before ``schedule``; of every stage that ``learning_rates`` does not name.
        learning_rates: of single stages, by name.
        optimizer: ``adam``, ``adamw`` or ``sgd``, and its settings.
        schedule: how all learning rates change: ``cosine``, ``cosine_restarts``, ``constant``, ``plateau``.
        loss: ``crossentropy`` or ``focal``.
        loss_weights: of models that learn by several losses: what each is multiplied by.
        loss_weighting: likewise: ``fixed``, ``uncertainty`` or ``gradnorm``, and its settings.
        l2: times the sum of the squares of every weight but biases and those of normalisation, added to the loss.
        label_smoothing: share of the label that is spread over all glosses.
        class_weights: ``none``; ``balanced``, by the inverse of how many clips a gloss has; ``effective``, by
            the effective number of clips; or a weight for each gloss, 1 where none is given.
        effective_number_beta: of ``class_weights: effective``.
        logit_adjustment: how far the model is to answer as if all glosses were equally frequent: 0 as they are in
            training, 1 wholly.
        freeze: stages that never learn.
        unfreeze: ``{epoch: stages}``: these learn from the beginning of that epoch on, and not before.
        ema_decay: validate and keep an exponential moving average of the weights; null: the weights themselves.
        adversarial_weights: take each update's gradient at the worst weights nearby; null: at the weights.
        gradient_clip_norm: no update's gradient, over all weights, is longer; null: no limit.
        precision: compute dtype policy.
        early_stopping_patience: epochs without a better ``monitor`` before stopping.
        monitor: what "better" means; checkpoints keep the best epoch by it. ``val_top1`` is of isolated signs,
            ``val_wer`` of sentences.
        checkpoint_minutes: within an epoch, the training is saved so often; null: at the ends of epochs alone.
        deterministic: on a GPU too, the same training twice gives the same weights; slower there.
        profile_steps: ``[first, last]``: TensorFlow's profiler traces these updates, counted from 1 over the whole
            training; null: none.
    """

    epochs: int = pydantic.Field(ge=1)
    batch_size: int = pydantic.Field(ge=1)
    accumulate_steps: int = pydantic.Field(1, ge=1)
    learning_rate: LearningRate
    learning_rates: dict[str, LearningRate] = pydantic.Field(default_factory=dict)
    optimizer: OptimizerConfig = AdamConfig()
    schedule: ScheduleConfig = CosineConfig()
    loss: LossConfig = CrossentropyConfig()
    loss_weights: LossWeightsConfig = LossWeightsConfig()
    loss_weighting: LossWeightingConfig = FixedWeightingConfig()
    l2: float = pydantic.Field(0.0, ge=0)
    label_smoothing: Share = 0.0
    class_weights: ClassWeights = "none"
    effective_number_beta: float = pydantic.Field(0.999, gt=0, lt=1)
    logit_adjustment: float = pydantic.Field(0.0, ge=0, le=2)
    freeze: StageNames = ()
    unfreeze: dict[Annotated[int, pydantic.Field(ge=2)], StageNames] = pydantic.Field(default_factory=dict)
    ema_decay: float | None = pydantic.Field(None, gt=0, lt=1)
    adversarial_weights: AdversarialWeightsConfig | None = None
    gradient_clip_norm: Positive | None = 1.0
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    early_stopping_patience: int = pydantic.Field(10, ge=1)
    monitor: Monitor = "val_loss"
    checkpoint_minutes: Positive | None = 10.0
    deterministic: bool = False
    profile_steps: tuple[Update, Update] | None = None

    @pydantic.field_validator("profile_steps")
    @classmethod
    def _first_before_last(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and value[1] < value[0]:
            raise ValueError(f"the last update, {value[1]}, comes before the first, {value[0]}; give [first, last]")
        if value is not None and value[1] - value[0] >= MOST_PROFILED:
            raise ValueError(
                f"{value[1] - value[0] + 1} updates: a trace of more than {MOST_PROFILED} is too large to look at; "
                "take some after the first, e.g. [20, 30]"
            )
        return value

    @pydantic.field_validator("unfreeze")
    @classmethod
    def _unfrozen_once(cls, value: dict[int, StageNames]) -> dict[int, StageNames]:
        names = [name for stages in value.values() for name in stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)}: in several epochs; a stage begins to learn once")
        return value

    @pydantic.model_validator(mode="after")
    def _frozen_or_unfrozen(self) -> Self:
        both = [name for stages in self.unfreeze.values() for name in stages if name in self.freeze]
        if both:
            raise ValueError(
                f"{', '.join(both)}: in freeze, which is for good, and in unfreeze; what unfreeze names is frozen "
                "until then anyway"
            )
        return self
