"""The loss of sentences."""

from fractions import Fraction
from typing import Any

import keras

from sign_keras.config.ratio import FramesPerLogit
from sign_keras.ctc.labels import logit_frames
from sign_keras.ctc.loss import ctc_losses, unpacked


@keras.saving.register_keras_serializable(package="sign_keras")
class SentenceLoss(keras.losses.Loss):
    """CTC loss, as ``ctc.loss.ctc_losses`` has it: in nats a gloss, 0 where a clip cannot carry its glosses.

    Takes packed labels ``[B, 2 + T + L]`` (``ctc.loss.unpacked``) and logits ``[B, T', V + 1]``, blank first.

    Args:
        frames_per_logit: how many frames of a clip make one of the logits.
        name: of the loss.
    """

    def __init__(self, frames_per_logit: FramesPerLogit | str = 1, name: str = "sentence_loss") -> None:
        super().__init__(name=name)
        self.frames_per_logit = Fraction(frames_per_logit)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """``[B]`` float32 losses."""
        known = unpacked(y_true)
        num_frames = logit_frames(known.num_frames, self.frames_per_logit)
        return ctc_losses(y_pred, known.gloss_ids, num_frames, known.num_glosses)

    def get_config(self) -> dict[str, object]:
        """Constructor arguments."""
        return {"frames_per_logit": str(self.frames_per_logit), "name": self.name}
