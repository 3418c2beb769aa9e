"""Dropout that begins late, once a model has something to lose."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="sign_keras")
class LateDropout(keras.layers.Dropout):
    """Dropout that a training holds back until an epoch; without anyone who says the epoch, plain dropout.

    Whether it is on is no tensor: where it changes, a traced training step must be traced anew.

    Source: ``LateDropout`` of the first place of Google's Isolated Sign Language Recognition on Kaggle, 2023
    (hoyso48), which counts steps within the graph.

    Args:
        rate: share of features dropped in training, once it has begun.
        first_epoch: from when on, counted from 1.
    """

    def __init__(self, rate: float, first_epoch: int = 1, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.first_epoch = first_epoch
        self.is_on = True

    def set_epoch(self, epoch: int) -> bool:
        """Turns it off or on for an epoch, counted from 1; says whether that is a change."""
        was_on, self.is_on = self.is_on, epoch >= self.first_epoch
        return was_on != self.is_on

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drops in training, where it is on."""
        return super().call(inputs, training=training and self.is_on)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "first_epoch": self.first_epoch}
