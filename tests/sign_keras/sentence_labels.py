"""Labels of sentences as batches hold them, packed by hand."""

from collections.abc import Sequence

import numpy as np


def packed(
    sentences: Sequence[Sequence[int]],
    num_frames: Sequence[int],
    frame_glosses: Sequence[Sequence[int]] | None = None,
) -> np.ndarray:
    """``[B, 2 + T + L]`` int32, see ``ctc.loss.unpacked``; T is 0 without ``frame_glosses`` (-1: none)."""
    frames = np.array(frame_glosses or [[]] * len(sentences), np.int32) + 1
    glosses = np.zeros((len(sentences), 1 + max(map(len, sentences))), np.int32)
    for clip, sentence in enumerate(sentences):
        glosses[clip, : len(sentence)] = np.array(sentence, np.int32) + 1
    head = np.array([[count, frames.shape[1]] for count in num_frames], np.int32)
    return np.concatenate([head, frames, glosses], axis=1)
