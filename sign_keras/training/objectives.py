"""What a model learns to do, by its task: the loss of its logits, and what is counted while it learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras

from sign_keras.config import FourStageCTCConfig, ModelConfig, TrainConfig
from sign_keras.config.ratio import FramesPerLogit
from sign_keras.training.confusion import ConfusionCounts
from sign_keras.training.losses import accuracy_metrics, build_loss
from sign_keras.training.sentence_loss import SentenceLoss
from sign_keras.training.stage_losses import StageLosses
from sign_keras.training.word_errors import WordErrorRate


@dataclass(frozen=True)
class Objective:
    """See the module's text; made within the distribution strategy's scope.

    Attributes:
        loss: of packed labels and logits; its ``call`` gives each clip's.
        metrics: of both, in training and validation.
        confusion: counts of each validation; None where no answer is one gloss.
        compiles: whether XLA can compile all of it.
        stages: losses of a model in stages, which it learns by in place of ``loss``; None where there is one loss.
    """

    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]
    confusion: ConfusionCounts | None
    compiles: bool = True
    stages: StageLosses | None = None


def isolated_objective(
    config: TrainConfig, glosses: Sequence[str], clips_per_gloss: Mapping[str, int]
) -> Objective:
    """One sign: cross-entropy or focal loss, the share of clips that are right, and which gloss is taken for which.

    Args:
        config: the ``train`` section.
        glosses: all V, by id.
        clips_per_gloss: of the training split.

    Raises:
        UserError: see ``losses.build_loss``.
    """
    loss = build_loss(config, glosses, clips_per_gloss)
    return Objective(loss, accuracy_metrics(len(glosses)), ConfusionCounts(len(glosses)))


def sentence_objective(frames_per_logit: FramesPerLogit, stages: StageLosses | None = None) -> Objective:
    """A sentence: CTC loss, and the word error rate of the likeliest path.

    Args:
        frames_per_logit: of the model.
        stages: its losses, where it has several.
    """
    loss, metrics = SentenceLoss(frames_per_logit), [WordErrorRate(frames_per_logit)]
    return Objective(loss, metrics, confusion=None, compiles=False, stages=stages)


def objective_of(
    model: ModelConfig, config: TrainConfig, glosses: Sequence[str], clips_per_gloss: Mapping[str, int]
) -> Objective:
    """The objective of a configuration's ``model`` section; other arguments as for ``isolated_objective``."""
    if model.task == "continuous":
        stages = StageLosses(model) if isinstance(model, FourStageCTCConfig) else None
        return sentence_objective(model.frames_per_logit, stages)
    return isolated_objective(config, glosses, clips_per_gloss)
