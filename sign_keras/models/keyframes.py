"""Which frames of a clip are kept, in their order, and how gradients reach the scores that decide it."""

from typing import Any

import keras
import numpy as np
from keras import ops

from sign_keras.config.ratio import ratio_share
from sign_keras.ctc.labels import logit_frames
from sign_keras.models.motion_scorer import NEVER, log_scores


class _Selection(keras.layers.Layer):
    """Keeps the best ``ceil(ratio n)`` of a clip's n real frames.

    Gives ``selected``, the features of the frames that are kept, ``[B, K, D]`` with K for a clip of T frames;
    ``keyframe_indices`` ``[B, K]`` int32, their places in the clip, rising; and ``keyframe_mask`` ``[B, K]`` bool.
    Of a shorter clip the first ``ctc.labels.logit_frames`` count; what lies behind them means nothing.
    """

    def __init__(self, ratio: float, **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})  # half precision would make scores equal
        self.ratio = ratio
        self.supports_masking = True

    def _kept(self, ranks: Any, mask: Any | None) -> tuple[Any, Any]:
        """``keyframe_indices`` and ``keyframe_mask`` by ``[B, T]`` float32 ranks, the larger the better; of equal
        ones the earlier.
        """
        num_frames = ranks.shape[1]
        frames_per_logit = 1 / ratio_share(self.ratio)
        most = logit_frames(num_frames, frames_per_logit)
        if mask is None:
            best = ops.top_k(ranks, most)[1]
            kept = ops.ones_like(best, dtype="bool")
        else:
            best = ops.top_k(ops.where(mask, ranks, NEVER), most)[1]
            counts = logit_frames(ops.sum(ops.cast(mask, "int32"), axis=1), frames_per_logit)
            # Behind all real frames, so that they stay there when the places are sorted.
            kept = ops.arange(most)[None] < counts[:, None]
            best = ops.where(kept, ops.cast(best, "int32"), num_frames)
        # Rising: the largest of the negatives first, whose sort TFLite has.
        rising = -ops.top_k(-ops.cast(best, "int32"), most)[0]
        return ops.minimum(rising, num_frames - 1), kept

    def compute_mask(self, inputs: Any, *others: Any, mask: Any | None = None) -> None:
        """None: no mask goes on."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "ratio": self.ratio}


def take_frames(values: Any, indices: Any) -> Any:
    """``[B, T, D]`` at ``[B, K]`` places: ``[B, K, D]``. As one gather of rows, which TFLite has."""
    num_frames, size = values.shape[1:]
    clips = ops.arange(ops.shape(values)[0], dtype="int32")[:, None]
    rows = ops.reshape(clips * num_frames + ops.cast(indices, "int32"), (-1,))
    return ops.reshape(ops.take(ops.reshape(values, (-1, size)), rows, axis=0), (-1, indices.shape[1], size))


@keras.saving.register_keras_serializable(package="sign_keras")
class KeyframeSelection(_Selection):
    """Keeps the frames of the best scores.

    The score of a frame is that of the change that leads to it; the first frame has the second's. Beside the
    outputs of ``_Selection`` it gives ``frame_scores`` ``[B, T]`` float32: the softmax over a clip's T - 1 changes,
    so in [0, 1]; 0 where no frame is.

    **How gradients reach the scores.** Choosing the best passes none. What is kept is multiplied by
    ``g = n s`` (n changes, score s, so 1 on average) in the backward pass alone: forwards by ``1 + (g - g)``, a
    straight-through estimator (Bengio et al. 2013, arXiv:1308.3432, section 4). So a frame's score rises where
    larger features of it would lower the loss, and by the softmax falls where those of others would. A gate in the
    forward pass as well would let scores change the size of features, which depends on how many frames compete,
    and what the layers behind have learnt of them; forwards the choice alone counts, in training as in use.

    Args:
        ratio: share of real frames that is kept, in (0, 1].
    """

    def call(self, inputs: Any, changes: Any, mask: Any | None = None) -> dict[str, Any]:
        """Selects.

        Args:
            inputs: features ``[B, T, D]``.
            changes: ``[B, T - 1]`` logits of ``MotionScorer``.
            mask: ``[B, T]`` bool.
        """
        changes = ops.cast(changes, "float32")
        scores = ops.exp(log_scores(changes, mask))
        if mask is not None:
            scores = ops.where(mask[:, 1:], scores, 0.0)
        scores = ops.concatenate([scores[:, :1], scores], axis=1)
        ranks = ops.concatenate([changes[:, :1], changes], axis=1)
        indices, kept = self._kept(ops.stop_gradient(ranks), mask)
        if mask is None:
            num_changes = ops.cast(changes.shape[1], "float32")
        else:
            num_changes = ops.sum(ops.cast(mask[:, 1:], "float32"), axis=1)[:, None, None]
        gate = num_changes * take_frames(scores[..., None], indices)
        through = ops.cast(1 + (gate - ops.stop_gradient(gate)), inputs.dtype)
        return {
            "selected": take_frames(inputs, indices) * through,
            "keyframe_indices": indices,
            "keyframe_mask": kept,
            "frame_scores": scores,
        }


@keras.saving.register_keras_serializable(package="sign_keras")
class RandomSelection(_Selection):
    """Keeps any frames: in training others each time, else always those that ``seed`` says for clips of T frames.

    Args:
        ratio: share of real frames that is kept, in (0, 1].
        seed: of both.
    """

    def __init__(self, ratio: float, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(ratio, **kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, mask: Any | None = None, training: bool | None = None) -> dict[str, Any]:
        """Selects of ``[B, T, D]``; ``mask`` is ``[B, T]`` bool."""
        shape = ops.shape(inputs)[:2]
        if training:
            ranks = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        else:
            always = np.random.default_rng(self.seed).random((1, inputs.shape[1]), np.float32)
            ranks = ops.zeros_like(inputs[..., 0], dtype="float32") + always
        ranks = ops.reshape(ranks, (-1, inputs.shape[1]))
        indices, kept = self._kept(ranks, mask)
        return {"selected": take_frames(inputs, indices), "keyframe_indices": indices, "keyframe_mask": kept}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "seed": self.seed}
