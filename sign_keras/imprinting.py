"""One sign more for a trained head, from a few clips and without training.

A head is linear: ``logits = embedding @ kernel + bias``. A new sign needs a column of the kernel and a bias.

Source: weight imprinting, Qi et al. 2018, arXiv:1712.07136: the new column points where the mean embedding of the
sign's clips does, and is as long as the others. Different from there, as these heads are no cosine classifiers:

- It points there from the middle of what the head knows, and by Fisher's discriminant (Fisher 1936): directions in
  which clips of one sign differ among themselves count less. Their covariance is estimated on validation clips,
  with the shrinkage of Ledoit and Wolf 2004; where there are too few, that leaves the plain difference of means.
- The bias is not learnt with the others, so it is chosen by what it costs: of the validation clips of all other
  signs, the new one may take a given share.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import LedoitWolf

from sign_keras.embeddings import Embeddings

RIDGE = 1e-6
MARGIN = 1e-5


@dataclass(frozen=True)
class Head:
    """A linear head.

    Attributes:
        kernel: ``[D, V]``.
        bias: ``[V]``.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """``[N, V]`` of ``[N, D]``."""
        return np.asarray(embeddings.astype(np.float64) @ self.kernel + self.bias)

    def with_column(self, column: np.ndarray, bias: float) -> "Head":
        """One sign more, with the last id."""
        return Head(np.column_stack([self.kernel, column]), np.append(self.bias, bias))


def imprint(head: Head, clips: np.ndarray, known: Embeddings, share_taken: float) -> Head:
    """Adds a sign to a head; what it says of the others stays as it is.

    Args:
        head: of V signs.
        clips: ``[n, D]`` embeddings of the new sign's clips; n of at least 1.
        known: of clips of the V signs that the model has not learnt from; at least one.
        share_taken: at most this share of ``known`` is called the new sign afterwards.

    Returns:
        The head of V + 1 signs.

    Raises:
        ValueError: the new clips are no different from the mean of the known ones.
    """
    values = known.values.astype(np.float64)
    means = {label: values[known.labels == label].mean(axis=0) for label in np.unique(known.labels).tolist()}
    # Signs count alike, however many clips they have.
    difference = clips.astype(np.float64).mean(axis=0) - np.mean(list(means.values()), axis=0)
    residuals = values - np.stack([means[label] for label in known.labels.tolist()])
    direction = difference
    if residuals.any():
        covariance = LedoitWolf(assume_centered=True).fit(residuals).covariance_
        # Never singular, though some features may always be the same.
        ridge = RIDGE * np.trace(covariance) / len(covariance)
        direction = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), difference)
    length = np.linalg.norm(direction)
    if not length > 0:
        raise ValueError("the new clips are no different from the mean of the known ones")
    column = direction * (np.linalg.norm(head.kernel, axis=0).mean() / length)
    return head.with_column(column, _bias(head, column, values, share_taken))


def _bias(head: Head, column: np.ndarray, known: np.ndarray, share_taken: float) -> float:
    """The largest bias with which at most ``share_taken`` of the known clips go to the new sign."""
    room = np.sort(head.logits(known).max(axis=1) - known @ column)
    num_taken = int(np.floor(share_taken * len(room) + 1e-9))
    # A little less than what the next clip would be taken at, so that rounding to float32 does not take it.
    limit = float(room[min(num_taken, len(room) - 1)])
    return limit + (MARGIN if num_taken >= len(room) else -MARGIN) * max(1.0, abs(limit))
