"""Rare glosses more often, frequent ones less: as many clips an epoch as before, dealt out otherwise.

Source: Kang et al. 2020, arXiv:1910.09217, equation 1: gloss j is drawn with a probability proportional to
``n_j ** q``, where n_j is how many clips it has; q = 1 leaves frequencies as they are, q = 0 evens them out. They
draw clips independently; here counts are exact, and a gloss's clips differ by at most one in how often they come.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def balanced_counts(natural: Sequence[int], oversample: float) -> np.ndarray:
    """How many clips of each gloss an epoch holds.

    Args:
        natural: ``[V]`` clips of each gloss in the split.
        oversample: ``1 - q``: 0 gives ``natural`` itself, 1 as many clips of every gloss that has any.

    Returns:
        ``[V]`` int64 with the sum of ``natural``: shares rounded by largest remainders; of equal ones, those of
        smaller ids are rounded up.
    """
    counts = np.asarray(natural, np.int64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** (1.0 - oversample), 0.0)
    shares = counts.sum() * weights / weights.sum()
    rounded = np.floor(shares + 1e-9).astype(np.int64)  # what is whole but for the division's rounding is whole
    remainders = np.round(shares - rounded, 9)
    rounded[np.argsort(-remainders, kind="stable")[: counts.sum() - rounded.sum()]] += 1
    return rounded


def redeal(
    clips: tf.data.Dataset,
    label_of: Callable[[Any], tf.Tensor],
    natural: Sequence[int],
    wanted: Sequence[int],
    seed: tf.Tensor,
) -> tf.data.Dataset:
    """Repeats some clips of a stream and leaves out others, until there are ``wanted`` of each gloss.

    Systematic sampling: of ``n`` clips, the k-th comes as often as a multiple of ``n`` lies in the k-th of ``n``
    equal steps of ``wanted``, from a random start. So no clip is kept, only a count for each gloss.

    Args:
        clips: a whole epoch, in any order that is always the same.
        label_of: an element's gloss id, int64.
        natural: ``[V]`` how many clips of each gloss the stream holds.
        wanted: ``[V]`` how many there are to be.
        seed: ``[2]`` int64: decides which clips come once more than others.
    """
    held, targets = tf.constant(np.maximum(natural, 1), tf.int64), tf.constant(wanted, tf.int64)
    random = tf.random.stateless_uniform(held.shape, seed, dtype=tf.float64)
    starts = tf.cast(random * tf.cast(held, tf.float64), tf.int64)

    def count(seen: tf.Tensor, clip: Any) -> tuple[tf.Tensor, tuple[Any, tf.Tensor]]:
        label = label_of(clip)
        step, size = targets[label], held[label]
        before = starts[label] + seen[label] * step
        times = (before + step) // size - before // size
        return tf.tensor_scatter_nd_add(seen, [[label]], [1]), (clip, times)

    counted = clips.scan(tf.zeros_like(held), count)
    return counted.flat_map(lambda clip, times: tf.data.Dataset.from_tensors(clip).repeat(times))
