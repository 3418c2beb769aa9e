"""The losses of a model in stages: alignment, selection, classification, CTC. ``docs/continuous.md`` has them as
formulas.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from sign_keras.config import AlignmentConfig, FourStageCTCConfig
from sign_keras.config.ratio import FramesPerLogit
from sign_keras.ctc.labels import logit_frames
from sign_keras.ctc.loss import ctc_losses, unpacked
from sign_keras.models.motion_scorer import log_scores
from sign_keras.training.ctc_posteriors import ctc_posteriors

Tensors = Mapping[str, Any]
TINY = 1e-6


class StageLosses:
    """All losses of a ``four_stage_ctc``, each of every clip.

    Attributes:
        names: of the losses, in their order.
    """

    def __init__(self, config: FourStageCTCConfig) -> None:
        self.names = config.losses
        self._config = config
        self._frames_per_logit: FramesPerLogit = config.frames_per_logit

    def call(self, labels: Any, outputs: tuple[Any, Tensors]) -> Any:
        """``[B, len(names)]`` float32.

        Args:
            labels: packed, ``[B, 2 + T + L]``; see ``ctc.loss.unpacked``.
            outputs: of ``models.stages.with_stages``.
        """
        logits, tensors = outputs
        gloss_ids, num_frames, num_glosses, frame_glosses = unpacked(labels)
        kept = logit_frames(num_frames, self._frames_per_logit)
        sentence = (gloss_ids, kept, num_glosses)
        posteriors = ctc_posteriors(logits, *sentence)[..., 1:] if len(self.names) > 1 else None  # [B, K, V]
        losses = {"ctc": ctc_losses(logits, *sentence)}
        if self._config.alignment is not None:
            losses["alignment"] = alignment_losses(
                tensors, self._config.alignment, posteriors, gloss_ids, num_frames
            )
        if "selection" in self.names:
            losses["selection"] = selection_losses(
                tensors["change_logits"],
                tensors["keyframe_indices"],
                num_frames,
                kept,
                self._config.selection.entropy,
            )
        if "classification" in self.names:
            targets = posteriors
            if self._config.classification == "labels":
                targets = frame_targets(frame_glosses, tensors.get("keyframe_indices"), kept, posteriors)
            losses["classification"] = classification_losses(tensors["frame_classes"], targets)
        return tf.stack([losses[name] for name in self.names], axis=1)


def alignment_losses(
    tensors: Tensors, config: AlignmentConfig, posteriors: Any, gloss_ids: Any, num_frames: Any
) -> Any:
    """``[B]``: the cosine embedding loss of visual features and glosses; 0 where a sentence is empty or not
    carried.

    A pair that belongs together costs ``1 - cos``, one that does not ``max(0, cos - margin)``.

    - ``posteriors``: a frame and a gloss belong together as far as CTC says so. A frame's share of glosses counts;
      how much of it is blank does not, and all frames together count 1.
    - ``sentence``: the mean of a clip's real frames belongs to the mean of its glosses, and to no other gloss.

    Source: ``torch.nn.CosineEmbeddingLoss``; the pairing is this project's own.

    Args:
        tensors: ``visual`` ``[B, T, W]``, ``gloss_vectors`` ``[V, W]``, ``gloss_similarity`` ``[B, T, V]``, and
            where frames are selected ``keyframe_indices`` ``[B, K]``.
        config: the pairing, and the margin.
        posteriors: ``[B, K, V]``, of glosses.
        gloss_ids: ``[B, L]``, -1 behind the last.
        num_frames: ``[B]`` real frames of the clips.
    """
    similarity = tensors["gloss_similarity"]
    num_glosses = similarity.shape[-1]
    if config.pairing == "posteriors":
        if "keyframe_indices" in tensors:
            similarity = tf.gather(similarity, tensors["keyframe_indices"], batch_dims=1)
        mass = tf.reduce_sum(posteriors, axis=-1, keepdims=True)
        others = tf.maximum(mass - posteriors, 0.0) / max(num_glosses - 1, 1)
        costs = posteriors * (1 - similarity) + others * tf.nn.relu(similarity - config.margin)
        return tf.reduce_sum(costs, axis=(1, 2)) / tf.maximum(tf.reduce_sum(mass, axis=(1, 2)), TINY)
    signed = tf.reduce_sum(tf.one_hot(gloss_ids, num_glosses), axis=1)  # [B, V]: how often; -1 is nothing
    real = tf.sequence_mask(num_frames, tf.shape(similarity)[1], tf.float32)
    clip = tf.math.l2_normalize(tf.reduce_sum(tensors["visual"] * real[..., None], axis=1), axis=-1)
    vectors = tensors["gloss_vectors"]
    sentence = tf.math.l2_normalize(signed @ vectors, axis=-1)
    unsigned = tf.cast(signed == 0, tf.float32)
    away = tf.reduce_sum(unsigned * tf.nn.relu(clip @ tf.transpose(vectors) - config.margin), axis=1)
    away = tf.math.divide_no_nan(away, tf.reduce_sum(unsigned, axis=1))
    losses = 1 - tf.reduce_sum(clip * sentence, axis=1) + away
    return tf.where(tf.reduce_sum(signed, axis=1) > 0, losses, 0.0)


def selection_losses(changes: Any, keyframes: Any, num_frames: Any, kept: Any, entropy: float) -> Any:
    """``[B]``: the negative mean log-score of the frames that are kept, less ``entropy`` times the scores' entropy;
    0 where there is no change.

    Args:
        changes: ``[B, T - 1]`` logits of ``models.motion_scorer``.
        keyframes: ``[B, K]`` places; a frame's score is that of the change to it, the first's the second's.
        num_frames: ``[B]`` real frames.
        kept: ``[B]`` how many of the places count.
        entropy: its weight.
    """
    logs = log_scores(changes, tf.sequence_mask(num_frames, tf.shape(changes)[1] + 1))
    real = tf.sequence_mask(num_frames - 1, tf.shape(changes)[1])
    chosen = tf.gather(logs, tf.maximum(keyframes - 1, 0), batch_dims=1)
    counts = tf.sequence_mask(kept, tf.shape(keyframes)[1], tf.float32)
    # Where nothing changes, the only logarithm is that of no score.
    has_change = num_frames > 1
    chosen = tf.where(has_change[:, None] & (counts > 0), chosen, 0.0)
    likelihood = tf.reduce_sum(chosen, axis=1) / tf.cast(tf.maximum(kept, 1), tf.float32)
    spread = -tf.reduce_sum(tf.where(real, tf.exp(logs) * logs, 0.0), axis=1)
    return tf.where(has_change, -likelihood - entropy * spread, 0.0)


def frame_targets(frame_glosses: Any, keyframes: Any | None, kept: Any, posteriors: Any) -> Any:
    """``[B, K, V]`` float32: the gloss that each frame is said to show, nothing where it is said to show none; of
    clips of which nobody says, the glosses that CTC aligns.

    Args:
        frame_glosses: ``[B, T]`` ids, -1 for none; see ``ctc.loss.SentenceLabels``.
        keyframes: ``[B, K]`` places of the frames that are kept; None: all T are.
        kept: ``[B]`` how many of the places count.
        posteriors: ``[B, K, V]``, of glosses.
    """
    num_clips, num_places, num_glosses = tf.unstack(tf.shape(posteriors))
    if keyframes is None:
        keyframes = tf.tile(tf.range(num_places)[None], [num_clips, 1])
    # Where T is 0, each place has the -1 that is put behind the last.
    last = tf.shape(frame_glosses)[1]
    glosses = tf.pad(frame_glosses, [[0, 0], [0, 1]], constant_values=-1)
    glosses = tf.gather(glosses, tf.minimum(tf.cast(keyframes, last.dtype), last), batch_dims=1)
    counts = tf.sequence_mask(kept, num_places, tf.float32)
    targets = tf.one_hot(glosses, num_glosses) * counts[:, :, None]
    said = tf.reduce_any(frame_glosses >= 0, axis=1)
    return tf.where(said[:, None, None], targets, posteriors)


def classification_losses(classes: Any, targets: Any) -> Any:
    """``[B]``: cross-entropy of each frame's gloss, the mean over frames that have one.

    Args:
        classes: ``[B, K, V]`` logits.
        targets: ``[B, K, V]``: shares of each gloss; a frame that has none, or counts less, sums to less than 1.
    """
    costs = -tf.reduce_sum(targets * tf.nn.log_softmax(classes), axis=(1, 2))
    return costs / tf.maximum(tf.reduce_sum(targets, axis=(1, 2)), TINY)
