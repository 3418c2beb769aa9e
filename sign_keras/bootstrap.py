"""How far a score is to be trusted: intervals, and comparisons of two recognisers.

The 95 % interval is a cluster bootstrap: people are drawn with replacement, each with all of their clips, since
clips of one person succeed and fail together. Drawing clips instead would promise too much, and so do plain
percentiles where few people are drawn: these are expanded after Hesterberg (2015, What Teachers Should Know About
the Bootstrap, The American Statistician 69(4): the "expanded percentile interval").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

INTERVAL_TAIL = 0.025  # on each side: a 95 % interval


def bootstrap_interval(
    correct: np.ndarray, signers: Sequence[str], samples: int, seed: int = 0
) -> tuple[tuple[float, float], str]:
    """95 % interval of the share of correct clips, by expanded percentiles; see the module's text.

    Args:
        correct: ``[N]`` bool.
        signers: who signs each clip; empty where not known.
        samples: resamplings.
        seed: of the resampling.

    Returns:
        ``(low, high)``, always around the share itself, and what was resampled: ``signers`` or ``clips``.
    """
    return ratio_interval(correct, np.ones(len(correct)), signers, samples, seed)


def ratio_interval(
    numerators: np.ndarray, denominators: np.ndarray, signers: Sequence[str], samples: int, seed: int = 0
) -> tuple[tuple[float, float], str]:
    """95 % interval of a ratio of sums over clips, as ``bootstrap_interval`` gives it of a share.

    Args:
        numerators: ``[N]``, each clip's part, e.g. its errors.
        denominators: ``[N]``, likewise, e.g. its glosses; not all 0. Resamples in which all are 0 are left out.
        signers: who signs each clip; empty where not known.
        samples: resamplings.
        seed: of the resampling.

    Returns:
        ``(low, high)``, always around the ratio itself, and what was resampled: ``signers`` or ``clips``.
    """
    clusters, over = _clusters(signers)
    counts = np.stack([np.bincount(clusters, weights=values) for values in (numerators, denominators)], axis=1)
    drawn = _resample(counts, samples, seed)
    drawn = drawn[drawn[:, 1] > 0]
    estimate = float(np.sum(numerators) / np.sum(denominators))
    return _interval(drawn[:, 0] / drawn[:, 1], estimate, len(counts)), over


def macro_recall(labels: np.ndarray, correct: np.ndarray) -> float:
    """The mean over glosses of the share of their clips that are correct; over those that have clips.

    Args:
        labels: ``[N]`` integers.
        correct: ``[N]`` bool, or shares of several answers to the same clip.
    """
    return float(np.mean(_macro_recalls(np.sum(_by_gloss(labels, [correct, np.ones(len(labels))]), axis=1))))


def macro_recall_interval(
    labels: np.ndarray, correct: np.ndarray, signers: Sequence[str], samples: int, seed: int = 0
) -> tuple[tuple[float, float], str]:
    """95 % interval of ``macro_recall``, as ``bootstrap_interval`` gives it of the share of correct clips.

    A resample leaves out a gloss that nobody who was drawn signs. Of few signers, the interval therefore reaches
    far up where glosses that one or two of them sign are read badly. (To keep such a gloss's recall would
    narrow it too far: of simulated studies of eight signers and twelve glosses, 78 % held the truth, against 92 %.)
    """
    clusters, over = _clusters(signers)
    sums = _by_gloss(labels, [correct, np.ones(len(labels))], clusters)
    drawn = _resample_tables(sums, samples, seed)
    return _interval(_macro_recalls(drawn), macro_recall(labels, correct), sums.shape[1]), over


@dataclass(frozen=True)
class PairedDifference:
    """How far two recognisers' scores on the same clips are apart.

    Attributes:
        difference: the first one's score less the second's. Above 0 the first is better, but for error rates.
        interval: 95 %, always around the difference.
        share_above: share of resamples in which it is above 0. No probability that it is.
        interval_over: what was resampled: ``signers`` or ``clips``.
    """

    difference: float
    interval: tuple[float, float]
    share_above: float
    interval_over: str


def paired_bootstrap(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    signers: Sequence[str],
    samples: int,
    seed: int = 0,
) -> dict[str, PairedDifference]:
    """Compares two recognisers on the same clips, as ``{"top1": ..., "macro_recall": ...}``.

    Both are scored on the same people in every resample, so what makes a person hard for both cancels out. Two
    intervals of their own may overlap widely where this one is far from 0.

    Source: Koehn (2004), Statistical Significance Tests for Machine Translation Evaluation, EMNLP. Here people are
    drawn instead of single items, and percentiles are expanded; see the module's text.

    Args:
        labels: ``[N]`` integers, the clips' glosses.
        first: ``[N]`` bool, which clips the first recogniser has right; or shares, where several trainings of it
            answered.
        second: likewise.
        signers: who signs each clip; empty where not known.
        samples: resamplings.
        seed: of the resampling.

    Raises:
        ValueError: there are no clips, or not as many of each.
    """
    if not len(labels) == len(first) == len(second) == len(signers) or not len(labels):
        raise ValueError(
            f"{len(labels)} labels, {len(first)} and {len(second)} answers and {len(signers)} signers; expected as "
            "many of each, and some"
        )
    clusters, over = _clusters(signers)
    sums = _by_gloss(labels, [first, second, np.ones(len(labels))], clusters)
    # The last row is no resample: it holds the clips as they are.
    tables = np.concatenate([_resample_tables(sums, samples, seed), sums.sum(axis=1, keepdims=True)], axis=1)
    totals = tables.sum(axis=2)
    differences = {
        "top1": (totals[0] - totals[1]) / totals[2],
        "macro_recall": _macro_recalls(tables[[0, 2]]) - _macro_recalls(tables[[1, 2]]),
    }
    return {name: _paired(values, sums.shape[1], over) for name, values in differences.items()}


def paired_ratio_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    denominators: np.ndarray,
    signers: Sequence[str],
    samples: int,
    seed: int = 0,
) -> PairedDifference:
    """Compares two ratios of sums over the same clips, such as word error rates, as ``paired_bootstrap`` does.

    Args:
        first: ``[N]``, what the first recogniser adds to its numerator at each clip, e.g. its errors; or means,
            where several trainings of it answered.
        second: likewise.
        denominators: ``[N]``, of both, e.g. glosses; not all 0. Resamples in which all are 0 are left out.
        signers: who signs each clip; empty where not known.
        samples: resamplings.
        seed: of the resampling.

    Raises:
        ValueError: there are not as many of each, or the denominators add up to 0.
    """
    if not len(first) == len(second) == len(denominators) == len(signers) or not np.sum(denominators):
        raise ValueError(
            f"{len(first)} and {len(second)} numerators, {len(denominators)} denominators that add up to "
            f"{np.sum(denominators)}, and {len(signers)} signers; expected as many of each, and a sum above 0"
        )
    clusters, over = _clusters(signers)
    counts = np.stack([np.bincount(clusters, weights=values) for values in (first, second, denominators)], axis=1)
    # The last row is no resample: it holds the clips as they are.
    sums = np.concatenate([_resample(counts, samples, seed), counts.sum(axis=0, keepdims=True)])
    sums = sums[sums[:, 2] > 0]
    return _paired((sums[:, 0] - sums[:, 1]) / sums[:, 2], len(counts), over)


def _paired(differences: np.ndarray, count: int, over: str) -> PairedDifference:
    """Of differences in resamples over ``count`` units, and behind them that of the clips as they are."""
    # Equal scores summed in another order may differ in the last place; that makes nobody better.
    values = np.round(differences, 12)
    return PairedDifference(
        difference=float(values[-1]),
        interval=_interval(values[:-1], float(values[-1]), count),
        share_above=float(np.mean(values[:-1] > 0)),
        interval_over=over,
    )


def _clusters(signers: Sequence[str]) -> tuple[np.ndarray, str]:
    """``[N]`` numbers of what is drawn as one, from 0, and whether these are ``signers`` or ``clips``."""
    over_signers = len({signer for signer in signers if signer}) > 1
    owners = [signer if signer and over_signers else number for number, signer in enumerate(signers)]
    places = {owner: place for place, owner in enumerate(dict.fromkeys(owners))}
    return np.array([places[owner] for owner in owners]), "signers" if over_signers else "clips"


def _resample(counts: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Sums ``[samples, M]`` over as many rows of ``[C, M]`` as there are, drawn with replacement."""
    # Clusters that look the same need not be told apart: few kinds remain, however many clips there are.
    kinds, frequency = np.unique(counts, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    return np.asarray(rng.multinomial(len(counts), frequency / len(counts), size=samples) @ kinds)


def _by_gloss(labels: np.ndarray, values: Sequence[np.ndarray], clusters: np.ndarray | None = None) -> np.ndarray:
    """Sums ``[len(values), C, G]`` of each of the ``[N]`` values over the clips of a cluster and gloss."""
    glosses, places = np.unique(labels, return_inverse=True)
    clusters = np.zeros(len(labels), np.int64) if clusters is None else clusters
    shape = (int(clusters.max()) + 1, len(glosses))
    cells = clusters * len(glosses) + places
    return np.stack(
        [np.bincount(cells, weights=value, minlength=shape[0] * shape[1]).reshape(shape) for value in values]
    )


def _resample_tables(sums: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """``_resample`` of ``[J, C, G]`` along C: ``[J, samples, G]``."""
    num_tables, num_clusters, num_glosses = sums.shape
    rows = sums.transpose(1, 0, 2).reshape(num_clusters, -1)
    return _resample(rows, samples, seed).reshape(samples, num_tables, num_glosses).transpose(1, 0, 2)


def _macro_recalls(tables: np.ndarray) -> np.ndarray:
    """``[...]`` of ``[2, ..., G]``: correct clips and all clips of each gloss."""
    correct, clips = tables
    recalls = np.divide(correct, clips, out=np.zeros_like(correct), where=clips > 0)
    return np.asarray(recalls.sum(axis=-1) / (clips > 0).sum(axis=-1))


def _interval(drawn: np.ndarray, estimate: float, count: int) -> tuple[float, float]:
    """The expanded percentiles of resamples ``[R]`` over ``count`` units, always around the estimate."""
    tail = _expanded_tail(count)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return min(float(low), estimate), max(float(high), estimate)


def _expanded_tail(count: int) -> float:
    """The tail to cut off a bootstrap over ``count`` units, such that ``INTERVAL_TAIL`` of the truth lies beyond.

    For a mean of ``count`` normal values, the bootstrap's spread is too small by ``sqrt((n - 1) / n)``, and its
    tails are the normal distribution's instead of Student's t.
    """
    if count < 2:
        return 0.0
    quantile = np.sqrt(count / (count - 1)) * stats.t.ppf(INTERVAL_TAIL, count - 1)
    return float(stats.norm.cdf(quantile))
