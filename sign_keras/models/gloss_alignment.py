"""Visual features and glosses in one space: how much a frame looks like each gloss."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="sign_keras")
class GlossTable(keras.layers.Layer):
    """A vector for each gloss of the label map, ``[V, D]``, learned or begun with a text encoder's.

    Args:
        num_glosses: V.
        width: D.
    """

    def __init__(self, num_glosses: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_glosses, self.width = num_glosses, width

    def build(self, input_shape: Any) -> None:
        """Adds the table; vectors of a length of about 1."""
        del input_shape
        deviation = self.width**-0.5
        self.table = self.add_weight(
            shape=(self.num_glosses, self.width),
            initializer=keras.initializers.RandomNormal(stddev=deviation),
            name="table",
        )

    def call(self, inputs: Any) -> Any:
        """The table, whatever the inputs: they put the layer into a model's graph."""
        del inputs
        return ops.convert_to_tensor(self.table)

    def compute_output_shape(self, input_shape: Any) -> tuple[int, int]:
        """``[V, D]``."""
        del input_shape
        return (self.num_glosses, self.width)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "num_glosses": self.num_glosses, "width": self.width}


@keras.saving.register_keras_serializable(package="sign_keras")
class UnitLength(keras.layers.Layer):
    """Vectors ``[..., D]`` at length 1, in float32 whatever the precision policy; zeros stay zeros."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Divides by the length."""
        inputs = ops.cast(inputs, "float32")
        squares = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * ops.rsqrt(ops.maximum(squares, 1e-12))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As it came."""
        return input_shape
