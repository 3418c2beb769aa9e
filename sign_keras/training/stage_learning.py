"""A model in stages while it learns: its tensors, their losses, and what these weigh."""

from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from sign_keras.training.loss_weighting import LossWeighting
from sign_keras.training.stage_losses import StageLosses


@dataclass(frozen=True)
class StageLearning:
    """See the module's text; made within the distribution strategy's scope.

    Attributes:
        model: of ``models.stages.with_stages``, with the learner's own layers.
        losses: of what it gives.
        weighting: of these.
        shared: weights that all of them depend on.
        means: of each loss over an epoch, or a validation: ``loss_NAME`` in logs.
    """

    model: keras.Model
    losses: StageLosses
    weighting: LossWeighting
    shared: list[keras.Variable]
    means: list[keras.metrics.Mean] = field(init=False)

    def __post_init__(self) -> None:
        means = [keras.metrics.Mean(name=f"loss_{name}") for name in self.losses.names]
        object.__setattr__(self, "means", means)

    def track(self, losses: Any) -> None:
        """Takes ``[n, L]`` losses into the means."""
        for number, mean in enumerate(self.means):
            mean.update_state(losses[:, number])

    def update(self, losses: Any, by_loss: list[list[Any]], total: Any) -> None:
        """Has the weighting learn; within a replica.

        Args:
            losses: ``[n, L]`` of this device's clips.
            by_loss: this device's sums of each loss's gradient at the shared weights, where they are needed.
            total: clips on all devices.
        """
        context = tf.distribute.get_replica_context()
        sums = tf.reduce_sum(losses, axis=0)
        if context.num_replicas_in_sync > 1:
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
            by_loss = context.all_reduce(tf.distribute.ReduceOp.SUM, by_loss) if by_loss else by_loss
        count = tf.cast(total, tf.float32)
        norms = tf.stack([tf.linalg.global_norm(gradients) for gradients in by_loss]) if by_loss else None
        self.weighting.update(sums / count, None if norms is None else norms / count)
