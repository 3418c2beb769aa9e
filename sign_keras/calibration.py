"""How far a probability can be believed: temperature, calibration error, and the threshold of an answer.

Plain NumPy and SciPy on logits and labels; ``sign_keras.calibrate`` measures them on a run, and every artefact
carries what was found.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import optimize, special

NUM_BINS = 15  # of confidence, as in the source's experiments
# Beyond these a softmax is as good as certain, or as good as uniform.
TEMPERATURES = (0.05, 20.0)
# A threshold lies by so much above what it keeps out: more than a float32 export differs from its run.
MARGIN = 1e-6


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Softmax of ``logits / temperature``, in float64.

    Args:
        logits: ``[..., V]``.
        temperature: above 0; more makes probabilities more alike. It never changes their order.
    """
    return np.asarray(special.softmax(logits.astype(np.float64) / temperature, axis=-1))


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean of ``-log p(label)``, in nats; arguments as in ``fit_temperature``."""
    terms = special.log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-np.take_along_axis(terms, labels[:, None], axis=1).mean())


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with which a model's probabilities fit how often it is right.

    Source: temperature scaling, Guo et al. 2017, arXiv:1706.04599, section 4.2: the temperature of the least
    cross-entropy on clips that the model has not learnt from. Different from there, a right label counts as
    ``(N + 1) / (N + 2)`` of N clips, as Platt 1999 (Probabilistic Outputs for Support Vector Machines, section 2.2)
    has it: where a model is right about all of a few clips, that is no reason to be certain.

    Args:
        logits: ``[N, V]``, of clips that the model has not learnt from; N of at least 1.
        labels: ``[N]`` integers in ``[0, V)``.

    Returns:
        Within ``TEMPERATURES``; 1 where logits say the same of every gloss.
    """
    logits = logits.astype(np.float64)
    num_clips, num_glosses = logits.shape
    if num_glosses < 2 or np.ptp(logits, axis=1).max() == 0:
        return 1.0
    rest = 1 / (num_clips + 2)
    targets = np.full(logits.shape, rest / (num_glosses - 1))
    np.put_along_axis(targets, labels[:, None], 1 - rest, axis=1)

    def loss(log_temperature: float) -> float:
        return float(-np.mean(np.sum(targets * special.log_softmax(logits / np.exp(log_temperature), axis=1), 1)))

    # Convex in 1 / T, so there is one minimum, in log T too.
    found = optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def reliability(probabilities: np.ndarray, labels: np.ndarray, num_bins: int = NUM_BINS) -> list[dict[str, Any]]:
    """How often answers of like probability are right.

    Args:
        probabilities: ``[N, V]``.
        labels: ``[N]`` integers.
        num_bins: equal parts of [0, 1].

    Returns:
        For each bin that holds clips, upwards: their mean ``confidence`` (the largest probability), the share
        ``right``, and how many ``clips``.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # A bin is open below and closed above, as in the source.
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    return [
        {
            "confidence": float(confidence[bins == number].mean()),
            "right": float(right[bins == number].mean()),
            "clips": int((bins == number).sum()),
        }
        for number in np.unique(bins)
    ]


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Mean distance between how sure answers are and how often they are right: 0 is best.

    Source: Guo et al. 2017, arXiv:1706.04599, equation 3 (Naeini et al. 2015); arguments as in ``reliability``.
    """
    return sum(
        part["clips"] / len(labels) * abs(part["right"] - part["confidence"])
        for part in reliability(probabilities, labels, num_bins)
    )


def calibration_metrics(logits: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, Any]:
    """The calibration part of ``metrics.json``: errors with the temperature, and before, without it.

    Args:
        logits: ``[N, V]``.
        labels: ``[N]`` integers.
        temperature: that was fitted, on other clips.
    """
    before, after = softmax(logits), softmax(logits, temperature)
    return {
        "temperature": temperature,
        "expected_calibration_error": expected_calibration_error(after, labels),
        "expected_calibration_error_before": expected_calibration_error(before, labels),
        "negative_log_likelihood": negative_log_likelihood(logits, labels, temperature),
        "negative_log_likelihood_before": negative_log_likelihood(logits, labels),
        "reliability": reliability(after, labels),
    }


def sign_scores(probabilities: np.ndarray, no_sign: int | None) -> np.ndarray:
    """``[N]`` how probable the answer is, where it is a sign; 0 where the answer is that there is none.

    Args:
        probabilities: ``[N, V]``.
        no_sign: id of the gloss that stands for no sign; None where there is none.
    """
    answers = probabilities.argmax(axis=1)
    scores = probabilities.max(axis=1)
    return np.asarray(scores if no_sign is None else np.where(answers == no_sign, 0.0, scores))


def accepted(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """``[N]`` bool: whether ``sign_scores`` make an answer a sign."""
    return np.asarray(scores >= (threshold or 0.0)) & (scores > 0)


def threshold_from_non_signs(scores: np.ndarray, false_alarm_rate: float) -> float:
    """The lowest threshold at which at most a given share of clips without a sign is taken for one.

    Args:
        scores: ``[N]`` ``sign_scores`` of clips that show no sign of the model's; N of at least 1.
        false_alarm_rate: that share.

    Returns:
        In [0, 1]; 0 where none is needed. Where clips have a probability of 1 it is 1, and keeps none of them out.
    """
    highest = np.sort(scores)[::-1]
    num_allowed = int(np.floor(false_alarm_rate * len(scores) + 1e-9))  # what is whole but for rounding is whole
    if num_allowed >= len(scores) or highest[num_allowed] == 0:
        return 0.0
    return float(min(highest[num_allowed] + MARGIN, 1.0))


def threshold_from_mistakes(scores: np.ndarray, right: np.ndarray, mistake_rate: float) -> float | None:
    """The lowest threshold at which at most a given share of the accepted answers is wrong.

    What can be done where there are no clips without a sign: El-Yaniv and Wiener 2010 (On the Foundations of
    Noise-free Selective Classification) call that share the selective risk.

    Args:
        scores: ``[N]`` ``sign_scores`` of clips of the model's signs; N of at least 1.
        right: ``[N]`` bool: whether the answer is.
        mistake_rate: that share.

    Returns:
        In [0, 1]; None where no threshold keeps any answer and keeps the promise.
    """
    order = np.argsort(-scores, kind="stable")
    sorted_scores, wrong = scores[order], ~right[order]
    # Equal scores are accepted together: only the last of them is a place to cut.
    last = np.append(sorted_scores[1:] < sorted_scores[:-1], True)
    risk = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    kept = np.flatnonzero(last & (risk <= mistake_rate) & (sorted_scores > 0))
    if not len(kept):
        return None
    place = int(kept[-1])
    if not (sorted_scores[place + 1 :] > 0).any():
        return 0.0
    return float(min(sorted_scores[place + 1] + MARGIN, sorted_scores[place]))


def acceptance_metrics(
    signs: np.ndarray, right: np.ndarray, threshold: float | None, non_signs: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The part of ``metrics.json`` on what is taken for a sign.

    Args:
        signs: ``[N]`` ``sign_scores`` of clips of the model's signs; N of at least 1.
        right: ``[N]`` bool: whether the answer is.
        threshold: below which an answer counts as no sign; None: never.
        non_signs: ``sign_scores`` of clips without a sign of the model's, by where they come from.
    """
    kept = accepted(signs, threshold)
    return {
        "threshold": threshold,
        "signs_accepted": float(kept.mean()),
        "top1_of_accepted": float(right[kept].mean()) if kept.any() else None,
        "false_alarms": {
            name: {"clips": len(scores), "rate": float(accepted(scores, threshold).mean())}
            for name, scores in non_signs.items()
            if len(scores)
        },
    }
