"""How several losses become one: fixed weights, and two ways to learn them.

What is learned is kept among the optimiser's variables, so that checkpoints hold it.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from sign_keras.config import TrainConfig
from tfrecords_tools.command_line import UserError


class LossWeighting:
    """Weights that stay as they are.

    Args:
        names: of the losses.
        weights: of each.

    Attributes:
        names: likewise.
        needs_gradients: whether ``update`` is to be told the losses' gradients.
    """

    needs_gradients = False

    def __init__(self, names: Sequence[str], weights: Sequence[float]) -> None:
        self.names = tuple(names)
        self._initial = tuple(float(weight) for weight in weights)

    def weights(self) -> Any:
        """``[L]`` float32."""
        return tf.constant(self._initial, tf.float32)

    def update(self, losses: Any, gradient_norms: Any | None = None) -> None:
        """Learns from an update of the model.

        Args:
            losses: ``[L]``, each loss's mean over the clips of all devices.
            gradient_norms: ``[L]``, length of each unweighted loss's gradient, where they are needed.
        """
        del losses, gradient_norms


class UncertaintyWeighting(LossWeighting):
    """Each loss has a variance that the model is not sure by; what is less sure counts less.

    The whole loss is ``sum(exp(-s_i) L_i + s_i / 2)`` with ``s_i`` the logarithm of a variance: its best value is
    ``log(2 L_i)``, so that weights end near ``1 / (2 L_i)``. ``s_i`` goes down this loss's gradient,
    ``1/2 - exp(-s_i) L_i``, cut to [-1, 1]: a loss that begins at 1,000 would throw it out of all reach.

    Source: Kendall et al. 2018, arXiv:1705.07115, equation 10, in the form for cross-entropies; steps of their own
    in place of the model's optimiser.

    Args:
        names: of the losses.
        weights: to begin with.
        rate: the longest step.
        optimizer: keeps the variances; built already.
    """

    def __init__(
        self, names: Sequence[str], weights: Sequence[float], rate: float, optimizer: keras.optimizers.Optimizer
    ) -> None:
        super().__init__(names, weights)
        self._rate = rate
        self._log_variances = _kept(optimizer, "log_variances", -tf.math.log(tf.constant(self._initial)))

    def weights(self) -> Any:
        """See ``LossWeighting``."""
        return tf.exp(-tf.convert_to_tensor(self._log_variances))

    def update(self, losses: Any, gradient_norms: Any | None = None) -> None:
        """See ``LossWeighting``."""
        gradients = tf.clip_by_value(0.5 - self.weights() * losses, -1.0, 1.0)
        self._log_variances.assign_sub(self._rate * gradients)


class GradNormWeighting(LossWeighting):
    """Losses whose gradients at shared weights are too long count less, those that have fallen less count more.

    With ``G_i`` the length of ``w_i`` times loss i's gradient at weights that all losses share, ``r_i`` loss i as a
    share of *its own* first value, divided by the mean of these shares, ``G_i`` is to be ``mean(G) r_i ** alpha``.
    So the wanted weight is ``mean(G) r_i ** alpha / |gradient_i|``; weights go there by ``rate``, and are then
    scaled to the sum that they began with.

    Source: Chen et al. 2018, arXiv:1711.02257, equation 2 and algorithm 1. There weights go down the gradient of
    ``|G_i - mean(G) r_i ** alpha|`` with ``mean(G)`` held, whose minimum is the wanted weight above; but its steps
    are as long as loss i's gradient, which makes weights negative where one is 100 times the others. Going part of
    the way to the minimum has the same end and stays positive.

    Args:
        names: of the losses.
        weights: to begin with.
        alpha: see ``GradNormWeightingConfig``.
        rate: likewise.
        optimizer: keeps weights and first losses; built already.
    """

    needs_gradients = True

    def __init__(
        self,
        names: Sequence[str],
        weights: Sequence[float],
        alpha: float,
        rate: float,
        optimizer: keras.optimizers.Optimizer,
    ) -> None:
        super().__init__(names, weights)
        self._alpha, self._rate, self._sum = alpha, rate, sum(self._initial)
        self._weights = _kept(optimizer, "loss_weights", tf.constant(self._initial))
        # 0: not seen yet.
        self._first = _kept(optimizer, "first_losses", tf.zeros(len(self.names)))

    def weights(self) -> Any:
        """See ``LossWeighting``."""
        return tf.convert_to_tensor(self._weights)

    def update(self, losses: Any, gradient_norms: Any | None = None) -> None:
        """See ``LossWeighting``."""
        assert gradient_norms is not None
        known = tf.convert_to_tensor(self._first)
        first = tf.where(known > 0, known, losses)
        self._first.assign(first)
        shares = tf.math.divide_no_nan(losses, first)
        rates = tf.maximum(shares / tf.maximum(tf.reduce_mean(shares), 1e-8), 0.0)
        weights = self.weights()
        wanted = tf.reduce_mean(weights * gradient_norms) * rates**self._alpha
        # A loss without gradient has nothing to be balanced by.
        wanted = tf.where(gradient_norms > 0, wanted / tf.maximum(gradient_norms, 1e-12), weights)
        weights = weights + self._rate * (wanted - weights)
        self._weights.assign(weights * self._sum / tf.maximum(tf.reduce_sum(weights), 1e-12))


def _kept(optimizer: keras.optimizers.Optimizer, name: str, value: Any) -> keras.Variable:
    """A variable of an optimiser that it does not change by itself."""
    variable = optimizer.add_variable_from_reference(
        keras.Variable(value, dtype="float32", trainable=False, name=name), name=name
    )
    variable.assign(value)
    return variable


def build_weighting(
    config: TrainConfig, names: Sequence[str], optimizer: keras.optimizers.Optimizer
) -> LossWeighting:
    """What a configuration describes.

    Args:
        config: the ``train`` section.
        names: of the model's losses.
        optimizer: built already.

    Raises:
        UserError: a weight that is to be learned begins at 0.
    """
    weights = [getattr(config.loss_weights, name) for name in names]
    how = config.loss_weighting
    if how.name == "fixed":
        return LossWeighting(names, weights)
    if not all(weights):
        nothing = ", ".join(name for name, weight in zip(names, weights, strict=True) if not weight)
        raise UserError(
            f"train.loss_weights: {nothing} is 0 and {how.name} could not learn it; take train.loss_weighting=fixed"
        )
    if how.name == "uncertainty":
        return UncertaintyWeighting(names, weights, how.rate, optimizer)
    return GradNormWeighting(names, weights, how.alpha, how.rate, optimizer)


class LogLossWeights(keras.callbacks.Callback):
    """Adds ``weight_LOSS`` to what an epoch logs."""

    def __init__(self, weighting: LossWeighting) -> None:
        super().__init__()
        self._weighting = weighting

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes into the logs that later callbacks see."""
        del epoch
        if logs is not None:
            weights = keras.ops.convert_to_numpy(self._weighting.weights()).tolist()
            logs |= {f"weight_{name}": weight for name, weight in zip(self._weighting.names, weights, strict=True)}
