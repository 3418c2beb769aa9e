"""Losses of logits, for labels that are ids and for labels that are shares of several glosses."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from sign_keras.config import TrainConfig
from tfrecords_tools.command_line import UserError


@keras.saving.register_keras_serializable(package="sign_keras")
class GlossLoss(keras.losses.Loss):
    """Cross-entropy or focal loss, with label smoothing, class weights and logit adjustment.

    Takes labels ``[B]`` integers or ``[B, V]`` shares that sum to 1 (mixed clips have these), and logits
    ``[B, V]``. With ``y`` the smoothed label and ``p`` the softmax, a clip's loss is
    ``-alpha * weight * sum(y * (1 - p) ** gamma * log(p))``; a mixed clip's weight is mixed likewise. The mean over
    a batch divides by the number of clips, not by the sum of their weights.

    ``adjustments`` are added to the logits first, here alone: what a model has to add for glosses that are
    frequent in training is given to it, and its logits are those of equally frequent ones.

    Source: logit adjustment, Menon et al. 2021, arXiv:2007.07314, equation 10; focal loss, Lin et al. 2017,
    arXiv:1708.02002, equation 5, for softmax as Keras generalises it; label smoothing, Szegedy et al. 2016,
    arXiv:1512.00567, section 7. Own code, as ``keras.losses`` has the latter two for one-hot labels only, and cuts
    probabilities off at 1e-7 before the focal loss's logarithm.

    Args:
        label_smoothing: share of the label that is spread over all glosses.
        gamma: 0 is cross-entropy; the larger, the less do clips count that are right already.
        alpha: a factor of everything.
        class_weights: ``V`` factors; None: all 1.
        adjustments: ``V`` numbers; None: all 0.
        name: of the loss.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        gamma: float = 0.0,
        alpha: float = 1.0,
        class_weights: Sequence[float] | None = None,
        adjustments: Sequence[float] | None = None,
        name: str = "gloss_loss",
    ) -> None:
        super().__init__(name=name)
        self.label_smoothing, self.gamma, self.alpha = label_smoothing, gamma, alpha
        self.class_weights = None if class_weights is None else tuple(class_weights)
        self.adjustments = None if adjustments is None else tuple(adjustments)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """``[B]`` float32 losses in nats."""
        logits = ops.cast(y_pred, "float32")
        if self.adjustments is not None:
            logits = logits + ops.convert_to_tensor(self.adjustments, "float32")
        terms = ops.log_softmax(logits)
        if self.gamma:
            terms = terms * (1 - ops.exp(terms)) ** self.gamma
        of_label = _at_label(terms, y_true)
        uniform = ops.mean(terms, axis=-1)
        losses = -((1 - self.label_smoothing) * of_label + self.label_smoothing * uniform)
        if self.class_weights is not None:
            weights = ops.broadcast_to(ops.convert_to_tensor(self.class_weights, "float32"), ops.shape(terms))
            losses = losses * _at_label(weights, y_true)
        return losses if self.alpha == 1 else self.alpha * losses

    def get_config(self) -> dict[str, object]:
        """Constructor arguments."""
        return {
            "label_smoothing": self.label_smoothing,
            "gamma": self.gamma,
            "alpha": self.alpha,
            "class_weights": self.class_weights,
            "adjustments": self.adjustments,
            "name": self.name,
        }


def _at_label(values: Any, labels: Any) -> Any:
    """``[B, V]`` values and labels of either kind to ``[B]``: the label's value, or its mixture of values."""
    if is_soft(labels):
        return ops.sum(values * ops.cast(labels, values.dtype), axis=-1)
    indices = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
    return ops.take_along_axis(values, indices, axis=-1)[:, 0]


def is_soft(labels: Any) -> bool:
    """Whether labels are ``[B, V]`` shares; ids are ``[B]`` or ``[B, 1]``."""
    return len(labels.shape) == 2 and labels.shape[-1] != 1


def gloss_ids(labels: Any) -> Any:
    """``[B]`` int32 ids of labels of either kind; of shares the largest."""
    if is_soft(labels):
        return ops.cast(ops.argmax(labels, axis=-1), "int32")
    return ops.cast(ops.reshape(labels, (-1,)), "int32")


def accuracy_metrics(num_glosses: int) -> list[keras.metrics.Metric]:
    """``top1`` and ``top5``, for labels of either kind: a mixed clip's label is its largest share."""

    def top1(labels: Any, logits: Any) -> Any:
        return keras.metrics.sparse_categorical_accuracy(gloss_ids(labels), logits)

    def top5(labels: Any, logits: Any) -> Any:
        return keras.metrics.sparse_top_k_categorical_accuracy(gloss_ids(labels), logits, k=min(5, num_glosses))

    return [keras.metrics.MeanMetricWrapper(top1, name="top1"), keras.metrics.MeanMetricWrapper(top5, name="top5")]


def build_loss(config: TrainConfig, glosses: Sequence[str], clips_per_gloss: Mapping[str, int]) -> GlossLoss:
    """The loss that a configuration describes.

    Args:
        config: the ``train`` section.
        glosses: all V, by id.
        clips_per_gloss: of the training split.

    Raises:
        UserError: ``class_weights`` names a gloss that the records do not have.
    """
    gamma, alpha = (config.loss.gamma, config.loss.alpha) if config.loss.name == "focal" else (0.0, 1.0)
    weights = class_weights(config, glosses, clips_per_gloss)
    adjustments = logit_adjustments(config.logit_adjustment, glosses, clips_per_gloss)
    return GlossLoss(config.label_smoothing, gamma, alpha, weights, adjustments)


def logit_adjustments(
    strength: float, glosses: Sequence[str], clips_per_gloss: Mapping[str, int]
) -> Sequence[float] | None:
    """``V`` numbers, or None for none: ``strength`` times the logarithm of each gloss's number of clips.

    Less their mean, as the softmax does not feel it: so a gloss without training clips, 0, is like an average one.
    """
    if not strength:
        return None
    counts = np.array([clips_per_gloss.get(gloss, 0) for gloss in glosses], np.float64)
    present = counts > 0
    adjustments = np.zeros(len(glosses))
    adjustments[present] = strength * (np.log(counts[present]) - np.log(counts[present]).mean())
    return [float(adjustment) for adjustment in adjustments]


def class_weights(
    config: TrainConfig, glosses: Sequence[str], clips_per_gloss: Mapping[str, int]
) -> Sequence[float] | None:
    """``V`` factors, or None for none; a gloss without training clips has 1.

    ``balanced`` is ``N / (G n)`` for ``n`` of ``N`` clips and ``G`` glosses that have some, so that a training
    clip's weight is 1 on average. ``effective`` is ``(1 - beta) / (1 - beta ** n)``, scaled to an average of 1 over
    glosses: Cui et al. 2019, arXiv:1901.05555, equation 2.

    Raises:
        UserError: a weight is for a gloss that the records do not have.
    """
    rule = config.class_weights
    if rule == "none":
        return None
    if isinstance(rule, dict):
        unknown = sorted(set(rule) - set(glosses))
        if unknown:
            raise UserError(
                f"train.class_weights: {', '.join(unknown)}: no such gloss in the records; they have "
                f"{', '.join(list(glosses)[:20])}{', ...' if len(glosses) > 20 else ''}"
            )
        return [rule.get(gloss, 1.0) for gloss in glosses]
    counts = np.array([clips_per_gloss.get(gloss, 0) for gloss in glosses], np.float64)
    present = counts > 0
    weights = np.ones(len(glosses))
    if rule == "balanced":
        weights[present] = counts.sum() / (present.sum() * counts[present])
    else:
        beta = config.effective_number_beta
        inverse = (1 - beta) / (1 - beta ** counts[present])
        weights[present] = inverse * present.sum() / inverse.sum()
    return [float(weight) for weight in weights]
