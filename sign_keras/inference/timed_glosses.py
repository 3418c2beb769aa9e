"""Glosses of a sentence as people are told of them: named, in seconds, and where each was looked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sign_keras.calibration import softmax
from sign_keras.ctc.decoding import DecodedGloss

# Cosines of a frame and a gloss are divided by it before the softmax over frames.
ATTENTION_TEMPERATURE = 0.1


@dataclass(frozen=True)
class TimedGloss:
    """A gloss of a sentence.

    Attributes:
        gloss: its name.
        start_seconds: from the video's first frame, where the likeliest path begins to say it.
        end_seconds: likewise, where it stops.
        confidence: see ``ctc.decoding.DecodedGloss``.
    """

    gloss: str
    start_seconds: float
    end_seconds: float
    confidence: float


def timed_glosses(
    decoded: Iterable[DecodedGloss], edges: np.ndarray, glosses: Sequence[str]
) -> tuple[TimedGloss, ...]:
    """Decoded glosses in time.

    Args:
        decoded: in their order.
        edges: ``[frames, 2]`` seconds: where each frame that ``decoded`` speaks of begins and ends.
        glosses: of the label map, by id.
    """
    return tuple(
        TimedGloss(
            glosses[gloss.gloss_id],
            float(edges[gloss.first_frame, 0]),
            float(edges[gloss.last_frame, 1]),
            gloss.confidence,
        )
        for gloss in decoded
    )


def gloss_attention(similarity: np.ndarray, gloss_ids: Sequence[int], num_frames: int) -> np.ndarray:
    """Where a model that aligns frames with glosses looks for each of some: ``[glosses, num_frames]``, rows of 1.

    It shows the alignment; logits do not depend on it.

    Args:
        similarity: ``[T, V]`` cosines, of ``models.stages.SHOWN``.
        gloss_ids: of the glosses.
        num_frames: real ones of the T.
    """
    return softmax(similarity[:num_frames, list(gloss_ids)].T, ATTENTION_TEMPERATURE)
