"""What one of several machines takes of each training batch."""

from dataclasses import dataclass

import tensorflow as tf

from sign_keras.data.clip import Inputs


@dataclass(frozen=True)
class Share:
    """One of ``count`` equal parts of each batch that ``devices`` share, in the batch's order.

    Attributes:
        index: which part.
        count: of the parts.
        devices: of all together; a batch is cut to a multiple of their number.
    """

    index: int = 0
    count: int = 1
    devices: int = 1

    def bounds(self, clips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where it begins and ends in a batch of so many clips (int64)."""
        even = clips // self.devices * self.devices
        return even * self.index // self.count, even * (self.index + 1) // self.count

    def holds(self, place: tf.Tensor, num_clips: int, batch_size: int) -> tf.Tensor:
        """Whether the clip at a place of an epoch of ``num_clips`` is part of it."""
        within = place % batch_size
        begin, end = self.bounds(tf.minimum(num_clips - (place - within), batch_size))
        return (begin <= within) & (within < end)

    def of_batch(self, inputs: Inputs, labels: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
        """Its clips of a whole batch."""
        begin, end = self.bounds(tf.shape(labels, tf.int64)[0])
        return {name: tensor[begin:end] for name, tensor in inputs.items()}, labels[begin:end]
