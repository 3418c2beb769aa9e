"""What a model learns to do, by its task: the loss of its logits, and what is counted while it learns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras

from sign_keras.config import ModelConfig, TrainConfig
from sign_keras.training.confusion import ConfusionCounts
from sign_keras.training.losses import accuracy_metrics, build_loss
from sign_keras.training.sentence_loss import SentenceLoss
from sign_keras.training.word_errors import WordErrorRate


@dataclass(frozen=True)
class Objective:
    """See the module's text; made within the distribution strategy's scope.

    Attributes:
        loss: of packed labels and logits; its ``call`` gives each clip's.
        metrics: of both, in training and validation.
        confusion: counts of each validation; None where no answer is one gloss.
        compiles: whether XLA can compile all of it.
    """

    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]
    confusion: ConfusionCounts | None
    compiles: bool = True


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


def sentence_objective(frames_per_logit: int) -> Objective:
    """A sentence: CTC loss, and the word error rate of the likeliest path.

    Args:
        frames_per_logit: of the model.
    """
    return Objective(
        SentenceLoss(frames_per_logit), [WordErrorRate(frames_per_logit)], confusion=None, compiles=False
    )


def objective_of(
    model: ModelConfig, config: TrainConfig, glosses: Sequence[str], clips_per_gloss: Mapping[str, int]
) -> Objective:
    """The objective of a configuration's ``model`` section; other arguments as for ``isolated_objective``."""
    if model.task == "continuous":
        return sentence_objective(model.frames_per_logit)
    return isolated_objective(config, glosses, clips_per_gloss)
