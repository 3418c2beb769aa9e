"""Scores of frames by how their features change."""

from typing import Any

import keras
from keras import ops

from sign_keras.models.conv_gru import ConvGRU

NEVER = -1e9  # of what a softmax must not see; half precision has no such number, so scores are float32


@keras.saving.register_keras_serializable(package="sign_keras")
class MotionScorer(keras.layers.Layer):
    """Feature maps ``[B, T, H, W, C]`` to scores of the changes between frames, ``[B, T - 1]`` float32 logits.

    Absolute differences of neighbouring frames go through a ConvGRU, its states through a mean over space and a
    linear layer. The sign of a difference says which way things moved, not how much, so it is left out.

    With ``start="motion"`` no weight of the inputs' candidate nor of the linear layer is negative at first: scores
    begin as a detector of motion, larger where features change more, and learn to be something better. With
    ``"random"`` they begin as any network does.

    Args:
        units: channels of the ConvGRU.
        start: ``motion`` or ``random``.
    """

    def __init__(self, units: int, start: str = "motion", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.start = units, start
        self.supports_masking = True
        initializer: Any = "glorot_uniform"
        if start == "motion":
            initializer = AbsoluteGlorot()
        self.changes = ConvGRU(units, kernel_initializer=initializer, dtype=self.dtype_policy, name="changes")
        self.score = keras.layers.Dense(1, kernel_initializer=initializer, dtype="float32", name="score")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds the ConvGRU and the linear layer."""
        num_frames = input_shape[1]
        self.changes.build((input_shape[0], None if num_frames is None else num_frames - 1, *input_shape[2:]))
        self.score.build((None, None, self.units))
        self.built = True

    def call(self, inputs: Any, mask: Any | None = None) -> Any:
        """``mask`` is ``[B, T]`` bool: a change into a frame that is not real leaves the state as it is."""
        changes = ops.absolute(inputs[:, 1:] - inputs[:, :-1])
        states = self.changes(changes, mask=None if mask is None else mask[:, 1:])
        return self.score(ops.cast(ops.mean(states, axis=(2, 3)), "float32"))[..., 0]

    def compute_mask(self, inputs: Any, *others: Any, mask: Any | None = None) -> None:
        """None: no mask goes on."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units, "start": self.start}


@keras.saving.register_keras_serializable(package="sign_keras")
class AbsoluteGlorot(keras.initializers.GlorotUniform):
    """Glorot's uniform numbers without their signs."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """As of ``keras.initializers.Initializer``."""
        return ops.absolute(super().__call__(shape, dtype=dtype))


def log_scores(changes: Any, mask: Any | None) -> Any:
    """Logarithms of a softmax over the real changes of each clip, ``[B, T - 1]`` float32.

    Args:
        changes: logits of ``MotionScorer``.
        mask: ``[B, T]`` bool: real frames. Changes into others have about ``NEVER``; of a clip of a single frame,
            which has no change, all are equal.
    """
    if mask is not None:
        changes = ops.where(mask[:, 1:], changes, NEVER)
    return ops.log_softmax(changes, axis=-1)
