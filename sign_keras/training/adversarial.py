"""Adversarial weight perturbation: each update's gradient is taken where the loss is worse nearby.

Source: Wu, Xia and Wang 2020, arXiv:2004.05884, section 4.2, equations 9 and 10, with one step; without adversarial
inputs, as in winning entries to Kaggle's competitions. As in the authors' code (csdongxian/AWP), biases and what
normalisation layers learn stay in place. Different from it: running statistics and metrics are those of the weights
themselves, and nothing is written into them, so there is nothing to restore.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops
from tqdm import tqdm

from sign_keras.config.training import AdversarialWeightsConfig
from sign_keras.training.optimizers import decays


class AdversarialWeights:
    """Where the gradient is taken.

    Args:
        config: how far from the weights, and from which epoch on.

    Attributes:
        start_epoch: the first epoch of it, from 1.
        is_on: whether updates take it; read when the training step is traced.
    """

    def __init__(self, config: AdversarialWeightsConfig) -> None:
        self._delta = config.delta
        self.start_epoch = config.start_epoch
        self.is_on = False

    def perturb(self, weights: Sequence[keras.Variable], gradients: Sequence[Any]) -> list[Any]:
        """``w + delta * |w| * g / |g|`` of each weight, by Euclidean norms over it; ``w`` where ``g`` is 0.

        Args:
            weights: in any shapes.
            gradients: of the loss over all devices, by these weights, all times the same factor.

        Returns:
            Tensors, in the weights' shapes and types.
        """
        return [
            self._perturbed(weight, gradient) if decays(weight) else weight.value
            for weight, gradient in zip(weights, gradients, strict=True)
        ]

    def _perturbed(self, weight: keras.Variable, gradient: Any) -> Any:
        gradient = ops.cast(gradient, weight.dtype)
        # By its largest value first: squares of scaled gradients leave the range of float32.
        gradient = ops.divide_no_nan(gradient, ops.max(ops.absolute(gradient)))
        direction = ops.divide_no_nan(gradient, _length(gradient))
        return weight.value + self._delta * _length(weight.value) * direction


def _length(values: Any) -> Any:
    """Euclidean; ``ops.norm`` takes no more than two axes, and kernels of convolutions have up to five."""
    return ops.norm(ops.reshape(values, (-1,)))


class StartAdversarialWeights(keras.callbacks.Callback):
    """Turns a ``Learner``'s on, where it has any; the training step is then traced anew."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """``epoch`` counts from 0."""
        del logs
        adversary: AdversarialWeights | None = self.model.adversary
        if adversary is None or adversary.is_on or epoch + 1 < adversary.start_epoch:
            return
        adversary.is_on = True
        self.model.make_train_function(force=True)
        tqdm.write(f"epoch {epoch + 1:>3}: gradients are taken at adversarial weights")
