"""Every path of a small clip, one by one: what CTC's recursions have to agree with."""

import itertools
from collections import defaultdict

import numpy as np

Sentence = tuple[int, ...]


def collapse(path: tuple[int, ...]) -> Sentence:
    """Gloss ids of a path of labels."""
    return tuple(label - 1 for label, _ in itertools.groupby(path) if label)


def paths_by_sentence(logits: np.ndarray) -> dict[Sentence, dict[tuple[int, ...], float]]:
    """The probability of each path of one clip ``[T, V + 1]``, by the sentence that it stands for."""
    exponentials = np.exp(logits)
    frames = exponentials / exponentials.sum(axis=1, keepdims=True)
    found: dict[Sentence, dict[tuple[int, ...], float]] = defaultdict(dict)
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        found[collapse(path)][path] = float(np.prod([frames[time, label] for time, label in enumerate(path)]))
    return found


def sentence_probabilities(logits: np.ndarray) -> dict[Sentence, float]:
    return {sentence: sum(paths.values()) for sentence, paths in paths_by_sentence(logits).items()}


def padded_batch(seed: int, num_glosses: int = 3, num_frames: tuple[int, ...] = (5, 3, 0, 4)) -> np.ndarray:
    """``[B, max, V + 1]`` random logits, with NaN behind each clip's real frames."""
    logits = np.random.default_rng(seed).normal(0, 2, (len(num_frames), max(num_frames), num_glosses + 1))
    for clip, length in enumerate(num_frames):
        logits[clip, length:] = np.nan
    return logits
