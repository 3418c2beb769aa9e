"""How well a recogniser does on isolated signs: shared by training and evaluation, in plain NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from sign_keras.bootstrap import bootstrap_interval
from sign_keras.calibration import softmax
from tfrecords_tools.label_map import LabelMap

TOP_K = 5


@dataclass(frozen=True)
class Predictions:
    """What a recogniser said of each clip of a split.

    Attributes:
        logits: ``[N, V]`` float32.
        labels: ``[N]`` int64, ids in the recogniser's own label map.
        media_ids: the clips' names.
        paths: the videos they came from.
        signers: who signs; empty where not known.
        temperature: what logits are divided by for probabilities.
    """

    logits: np.ndarray
    labels: np.ndarray
    media_ids: list[str]
    paths: list[str]
    signers: list[str]
    temperature: float = 1.0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def predicted(self) -> np.ndarray:
        """``[N]`` int64: id of the likeliest gloss."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def probabilities(self) -> np.ndarray:
        """``[N, V]`` float64: softmax of the logits divided by the temperature."""
        return softmax(self.logits, self.temperature)


def isolated_metrics(
    logits: np.ndarray,
    labels: np.ndarray,
    signers: Sequence[str],
    label_map: LabelMap,
    *,
    split: str,
    bootstrap_samples: int,
    seed: int = 0,
) -> dict[str, Any]:
    """The content of ``metrics.json``, as plain JSON values.

    Macro averages are over the glosses that the split holds. A gloss without clips is listed with support 0 and
    zeros, which mean nothing. ``interval_over`` says what was resampled: ``signers``, where those whose name is
    not known count as one each; or ``clips``, where fewer than two signers are known.

    Args:
        logits: ``[N, V]`` float32.
        labels: ``[N]`` integers in ``[0, V)``.
        signers: who signs each clip; empty where not known.
        label_map: of the V glosses.
        split: which clips these are.
        bootstrap_samples: resamplings behind the interval.
        seed: of the resampling.

    Raises:
        ValueError: shapes do not agree, there are no clips, or a value is out of range or not finite.
    """
    labels = np.asarray(labels)
    _check(logits, labels, signers, len(label_map))
    ranks = label_ranks(logits, labels)
    interval, interval_over = bootstrap_interval(ranks == 0, signers, bootstrap_samples, seed)
    per_gloss = _per_gloss(labels, logits.argmax(axis=1), label_map)
    present = [scores for scores in per_gloss.values() if scores["support"]]
    per_signer = _per_signer(ranks == 0, signers)
    return {
        "split": split,
        "clips": len(labels),
        "signers": len(per_signer),
        "top1": float(np.mean(ranks == 0)),
        "top5": float(np.mean(ranks < TOP_K)),
        "macro_f1": float(np.mean([scores["f1"] for scores in present])),
        "macro_recall": float(np.mean([scores["recall"] for scores in present])),
        "top1_interval": list(interval),
        "interval_over": interval_over,
        "chance": 1 / len(label_map),
        "per_gloss": per_gloss,
        "per_signer": per_signer,
    }


def label_ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``[N]`` int64: how many glosses come before the right one; 0 where it is the prediction.

    Equal logits are ordered by id, as ``argmax`` does: a model that says the same of every gloss is right by
    chance only.
    """
    of_label = np.take_along_axis(logits, labels[:, None], axis=1)
    equal_before = (logits == of_label) & (np.arange(logits.shape[1]) < labels[:, None])
    return np.asarray(((logits > of_label) | equal_before).sum(axis=1))


def confusion_matrix(logits: np.ndarray, labels: np.ndarray, num_glosses: int) -> np.ndarray:
    """``[V, V]`` int64 counts: row the right gloss, column the predicted one."""
    cells = np.asarray(labels) * num_glosses + logits.argmax(axis=1)
    return np.bincount(cells, minlength=num_glosses**2).reshape(num_glosses, num_glosses)


def worst_confusions(matrix: np.ndarray, limit: int | None = None) -> list[tuple[int, int, int]]:
    """Pairs of glosses that were mixed up, as ``(right id, predicted id, clips)``, most frequent first.

    Both directions of a pair are kept. Among equals, those come first that are a larger share of their gloss.

    Args:
        matrix: ``[V, V]`` counts from ``confusion_matrix``.
        limit: how many at most.
    """
    supports = matrix.sum(axis=1)
    mistakes = matrix - np.diag(np.diag(matrix))
    pairs = [(int(right), int(predicted)) for right, predicted in np.argwhere(mistakes)]
    pairs.sort(key=lambda pair: (-mistakes[pair], supports[pair[0]], pair))
    return [(right, predicted, int(mistakes[right, predicted])) for right, predicted in pairs[:limit]]


def _check(logits: np.ndarray, labels: np.ndarray, signers: Sequence[str], num_glosses: int) -> None:
    if logits.shape != (len(labels), num_glosses) or len(signers) != len(labels):
        raise ValueError(
            f"logits {logits.shape}, {len(labels)} labels and {len(signers)} signers do not agree; expected "
            f"[N, {num_glosses}], N and N"
        )
    if not len(labels):
        raise ValueError("no clips: nothing to measure")
    if labels.min() < 0 or labels.max() >= num_glosses:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {num_glosses} glosses")
    if not np.isfinite(logits).all():
        raise ValueError("logits that are not finite")


def _per_gloss(labels: np.ndarray, predicted: np.ndarray, label_map: LabelMap) -> dict[str, dict[str, Any]]:
    columns = precision_recall_fscore_support(labels, predicted, labels=range(len(label_map)), zero_division=0)
    return {
        gloss: {"precision": precision, "recall": recall, "f1": f1, "support": support}
        for gloss, precision, recall, f1, support in zip(
            label_map, *(column.tolist() for column in columns), strict=True
        )
    }


def _per_signer(correct: np.ndarray, signers: Sequence[str]) -> dict[str, dict[str, Any]]:
    names = np.array(signers, dtype=object)
    return {
        signer: {"top1": float(correct[names == signer].mean()), "support": int((names == signer).sum())}
        for signer in sorted({signer for signer in signers if signer})
    }
