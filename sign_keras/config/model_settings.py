"""What every architecture's section has."""

from typing import Literal, Self

from sign_keras.config.ratio import FramesPerLogit
from tfrecords_tools.settings import Settings

# What a model reads out of a clip: one sign, or the signs of a sentence in their order.
Task = Literal["isolated", "continuous"]


class ModelSettings(Settings):
    """What every architecture's section has.

    Attributes:
        weights: ``none``, or a ``.weights.h5`` file of this architecture (from a run, ``sign_keras.pretrain clips``
            or ``sign_keras.import_weights``): all of it where the head fits, else all but the head. A backbone's
            are in it, and ``backbone_weights`` is then not looked at.
    """

    weights: str = "none"

    @property
    def is_causal(self) -> bool:
        """Whether no frame's features depend on frames after it, so that a stream can go through frame by frame."""
        return False

    @property
    def task(self) -> Task:
        """What it reads: ``isolated`` models give logits ``[B, V]``, ``continuous`` ones ``[B, T', V + 1]``."""
        return "isolated"

    @property
    def frames_per_logit(self) -> FramesPerLogit:
        """Of a ``continuous`` model: how many frames of a clip make one frame of the logits."""
        return 1

    @property
    def selection_ratio(self) -> float:
        """Of a ``continuous`` model: share of a clip's frames that it selects; all, where it selects none."""
        return 1.0

    @property
    def losses(self) -> tuple[str, ...]:
        """The losses that it learns by where there are several, and ``train.loss_weights`` weighs them."""
        return ()

    def without_weights(self) -> Self:
        """The same architecture, begun from nothing: for a model whose own weights follow."""
        names = {"weights", "backbone_weights"} & set(type(self).model_fields)
        return self.model_copy(update=dict.fromkeys(names, "none"))
