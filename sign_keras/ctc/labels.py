"""Gloss ids and CTC's labels, and what every module here asks of logits."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from sign_keras.config.ratio import FramesPerLogit
from tfrecords_tools.command_line import UserError
from tfrecords_tools.label_map import LabelMap, LabelMapError

BLANK = 0  # the label; the gloss with id g has label g + 1


class ClipTooShortError(UserError):
    """A clip has fewer frames than any path needs that stands for its glosses."""


def gloss_ids(glosses: Sequence[str], label_map: LabelMap, clip: str) -> list[int]:
    """The ids of a sentence's glosses; none for an empty sentence.

    Raises:
        LabelMapError: a gloss is not in the map. Names the clip, the place in the sentence, and the nearest gloss.
    """
    ids = []
    for place, gloss in enumerate(glosses, start=1):
        try:
            ids.append(label_map.id(gloss))
        except LabelMapError as error:
            raise LabelMapError(f"{clip}: gloss {place} of {len(glosses)}: {error}") from None
    return ids


def frames_needed(sentence: Sequence[object]) -> int:
    """How many frames the shortest path of a sentence has: one a gloss, and a blank between two that are the same.

    Args:
        sentence: gloss ids, or any other names of the glosses; may be empty, which needs no frame.
    """
    return len(sentence) + sum(first == second for first, second in itertools.pairwise(sentence))


def logit_frames(num_frames: Any, frames_per_logit: FramesPerLogit) -> Any:
    """How many frames of the logits are real where ``num_frames`` of the clip are: every started one counts.

    The one place that says so, for models, the loss, decoding, planning and exports.

    Args:
        num_frames: an integer, or integers in an array or tensor of any library.
        frames_per_logit: how many frames of the clip a model makes one of. A model that keeps ``ceil(r n)`` of n
            frames makes one of 1 / r; one that then puts d together, of d / r.
    """
    numerator, denominator = frames_per_logit.numerator, frames_per_logit.denominator
    return (num_frames * denominator + numerator - 1) // numerator


def frames_of_logits(
    num_frames: int, frames_per_logit: FramesPerLogit, keyframes: np.ndarray | None = None
) -> np.ndarray:
    """Which frames of a clip each frame of its logits stands for.

    Args:
        num_frames: real ones of the clip.
        frames_per_logit: see ``logit_frames``.
        keyframes: of a model that selects frames: which it kept, in order, at least as many as there are logits.

    Returns:
        ``[frames of the logits, 2]`` int64: the first, and the one behind the last.
    """
    places = np.arange(logit_frames(num_frames, frames_per_logit))
    if keyframes is not None:
        first = np.asarray(keyframes, np.int64)[: len(places)]
        return np.stack([first, first + 1], axis=1)
    step = int(frames_per_logit)
    return np.stack([places * step, np.minimum((places + 1) * step, num_frames)], axis=1)


def log_probabilities(logits: np.ndarray, num_frames: np.ndarray | Sequence[int]) -> np.ndarray:
    """Log-softmax in float64, checked.

    Args:
        logits: ``[B, T, V + 1]``, blank first; what lies behind ``num_frames`` may be anything.
        num_frames: ``[B]`` integers in [0, T]: how many frames of each clip are real.

    Returns:
        ``[B, T, V + 1]`` natural logarithms. ``-inf`` is allowed; frames that are not real are zeros.

    Raises:
        ValueError: shapes or frame counts do not fit, or a real frame holds NaN, +inf, or nothing but -inf.
    """
    logits, num_frames = np.asarray(logits), np.asarray(num_frames)
    if logits.ndim != 3 or logits.shape[2] < 2 or num_frames.shape != logits.shape[:1]:
        raise ValueError(
            f"logits {logits.shape} with frame counts {num_frames.shape}; expected [B, T, V + 1] of at least one "
            "gloss beside the blank, and [B]"
        )
    if num_frames.size and not 0 <= num_frames.min() <= num_frames.max() <= logits.shape[1]:
        raise ValueError(f"frame counts from {num_frames.min()} to {num_frames.max()} of {logits.shape[1]} frames")
    real = np.arange(logits.shape[1]) < num_frames[:, None]
    values = np.where(real[:, :, None], logits, 0.0).astype(np.float64)
    faulty = ~np.isfinite(values.max(axis=2))  # NaN carries through, and -inf remains only where all are
    if faulty.any():
        clip, frame = np.argwhere(faulty)[0]
        raise ValueError(f"logits of clip {clip}, frame {frame} make no probabilities: {values[clip, frame]}")
    return np.where(real[:, :, None], special.log_softmax(values, axis=2), 0.0)
