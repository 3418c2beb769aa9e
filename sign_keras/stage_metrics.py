"""How well the first three stages of a model do: the part of ``metrics.json`` that ``docs/continuous.md`` explains.

What the renderer knows of hands is used here and nowhere else: no training sees it. When glosses are signed,
records may say too, and training learn it where a configuration asks (``model.classification``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from sign_keras.ctc.alignment import forced_alignments
from sign_keras.ctc.labels import BLANK, frames_needed

# Of the faster hand, from which on a frame counts as moving: hand units (wrist to middle knuckle) a second.
MOVING = 1.0


@dataclass(frozen=True)
class ClipStages:
    """What a model's stages say of a clip of n real frames, k of which have logits.

    Attributes:
        logits: ``[k, V + 1]`` float32.
        stages: of ``models.stages.SHOWN``: ``keyframe_indices`` ``[k]``, ``frame_scores`` ``[n]``,
            ``gloss_similarity`` ``[n, V]``, ``frame_classes`` ``[k, V]``, as far as the model has them.
        num_frames: n.
        gloss_ids: of the sentence; None where the model lacks one of them.
        frame_changes: ``[n - 1]``: the mean difference of pixels from each frame to the next; None without frames.
        speeds: ``[n - 1]``: how fast hands really move from each frame to the next; None where nobody knows.
        frame_glosses: ``[n]`` int64: the gloss id that each frame really belongs to, -1 for none; None likewise.
    """

    logits: np.ndarray
    stages: Mapping[str, np.ndarray]
    num_frames: int
    gloss_ids: Sequence[int] | None
    frame_changes: np.ndarray | None = None
    speeds: np.ndarray | None = None
    frame_glosses: np.ndarray | None = None

    @property
    def keyframes(self) -> np.ndarray:
        """``[k]`` places of the frames that the logits are of."""
        return self.stages.get("keyframe_indices", np.arange(len(self.logits)))

    def aligned(self) -> np.ndarray | None:
        """``[k]`` gloss ids along the sentence's likeliest path, -1 for the blank; None where there is no path."""
        ids = self.gloss_ids
        if ids is None or len(self.logits) < frames_needed(ids):
            return None
        (alignment,) = forced_alignments(self.logits[None], [len(self.logits)], [list(ids)])
        return np.where(alignment.labels == BLANK, -1, alignment.labels - 1)


def first_stages_metrics(clips: Sequence[ClipStages]) -> dict[str, dict[str, Any]]:
    """``stage1``, ``stage2`` and ``stage3`` as far as the model has them; what nobody knows is None."""
    if not clips:
        return {}
    has = clips[0].stages
    found: dict[str, dict[str, Any]] = {}
    if "gloss_similarity" in has:
        found["stage1"] = alignment_metrics(clips)
    if "keyframe_indices" in has:
        found["stage2"] = selection_metrics(clips)
    if "frame_classes" in has:
        found["stage3"] = class_metrics(clips)
    return found


def alignment_metrics(clips: Sequence[ClipStages]) -> dict[str, float | None]:
    """Of all frames that the likeliest path of their sentence gives a gloss.

    Returns:
        - ``mean_similarity``, ``std_similarity``: the cosine of a frame's visual features and its gloss.
        - ``alignment_quality``: share of the frames that are more similar to their gloss than to any other.
    """
    own: list[np.ndarray] = []
    best: list[np.ndarray] = []
    for clip in clips:
        glosses = clip.aligned()
        if glosses is None or not (glosses >= 0).any():
            continue
        signed = np.flatnonzero(glosses >= 0)
        similarity = clip.stages["gloss_similarity"][clip.keyframes[signed]]
        own.append(similarity[np.arange(len(signed)), glosses[signed]])
        best.append(similarity.argmax(axis=1) == glosses[signed])
    if not own:
        return {"mean_similarity": None, "std_similarity": None, "alignment_quality": None}
    similarities = np.concatenate(own)
    return {
        "mean_similarity": float(similarities.mean()),
        "std_similarity": float(similarities.std()),
        "alignment_quality": float(np.concatenate(best).mean()),
    }


def selection_metrics(clips: Sequence[ClipStages]) -> dict[str, float | None]:
    """Of all frames; of the truth, all but each clip's first, into which nothing moves.

    Returns:
        - ``keyframe_ratio``: share of frames that are kept.
        - ``selection_entropy``: of the scores, as a share of the largest possible, mean over clips: 1 says that all
          frames are alike to the scorer; None without scores.
        - ``motion_detection_accuracy``: share of frames that are kept and move, or are dropped and stand still.
        - ``motion_roc_auc``: how often a moving frame has a better score than a still one; None without scores, or
          where all frames move or none does. Scores are as shares of their clip's mean.
        - ``frame_difference_roc_auc``: the same of the plain difference of pixels.
        - ``moving_ratio``: share of frames that really move: at least ``MOVING``.
    """
    entropies, right = [], []
    moving: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    differences: list[np.ndarray] = []
    for clip in clips:
        changes = clip.stages["frame_scores"][1:].astype(np.float64) if "frame_scores" in clip.stages else None
        if changes is not None and len(changes) > 1:
            shares = changes[changes > 0]
            entropies.append(-(shares * np.log(shares)).sum() / np.log(len(changes)))
        if clip.speeds is None or not len(clip.speeds):
            continue
        moving.append(clip.speeds >= MOVING)
        kept = np.isin(np.arange(1, clip.num_frames), clip.keyframes)
        right.append(kept == moving[-1])
        if changes is not None:
            scores.append(_by_mean(changes))
        if clip.frame_changes is not None:
            differences.append(_by_mean(clip.frame_changes))
    return {
        "keyframe_ratio": sum(len(clip.logits) for clip in clips) / sum(clip.num_frames for clip in clips),
        "selection_entropy": float(np.mean(entropies)) if entropies else None,
        "motion_detection_accuracy": float(np.concatenate(right).mean()) if right else None,
        "motion_roc_auc": _roc_auc(moving, scores),
        "frame_difference_roc_auc": _roc_auc(moving, differences),
        "moving_ratio": float(np.concatenate(moving).mean()) if moving else None,
    }


def class_metrics(clips: Sequence[ClipStages]) -> dict[str, Any]:
    """Of the frames that are kept.

    Returns:
        - ``frame_accuracy``: share of frames within signs whose class is the gloss signed.
        - ``frame_labels``: what says so: ``truth``, or where nobody knows, the ``alignment`` of the sentence's
          likeliest path.
        - ``temporal_consistency``: share of neighbouring frames with the same class.
    """
    knows = any(clip.frame_glosses is not None for clip in clips)
    right: list[np.ndarray] = []
    same: list[np.ndarray] = []
    for clip in clips:
        classes = clip.stages["frame_classes"].argmax(axis=1)
        same.append(classes[1:] == classes[:-1])
        labels = clip.aligned() if not knows else _at(clip.frame_glosses, clip.keyframes)
        if labels is not None:
            right.append((classes == labels)[labels >= 0])
    return {
        "frame_accuracy": _mean(right),
        "frame_labels": "truth" if knows else "alignment",
        "temporal_consistency": _mean(same),
    }


def _at(values: np.ndarray | None, places: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[places]


def _mean(values: Sequence[np.ndarray]) -> float | None:
    together = np.concatenate([*values, np.zeros(0)])
    return float(together.mean()) if len(together) else None


def _by_mean(values: np.ndarray) -> np.ndarray:
    """Values as shares of their mean, so that clips of different length and noise compare."""
    return values / max(float(values.mean()), 1e-12)


def _roc_auc(moving: Sequence[np.ndarray], scores: Sequence[np.ndarray]) -> float | None:
    if not scores:
        return None
    truth = np.concatenate(moving)
    return None if truth.all() or not truth.any() else float(roc_auc_score(truth, np.concatenate(scores)))
