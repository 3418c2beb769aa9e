"""Sums from which mean and deviation follow, and which can be added up over clips and shards."""

from collections.abc import Iterable

import numpy as np

from tfrecords_tools.settings import Settings

Triple = tuple[float, float, float]


class Moments(Settings):
    """Sums over values of three channels (R, G, B, or x, y, z), from which mean and deviation follow.

    Attributes:
        count: of values a channel.
        total: their sum, by channel.
        squares: the sum of their squares.
    """

    count: int = 0
    total: Triple = (0.0, 0.0, 0.0)
    squares: Triple = (0.0, 0.0, 0.0)

    @classmethod
    def of_sums(cls, count: int, total: np.ndarray, squares: np.ndarray) -> "Moments":
        """Of sums ``[3]``."""
        return cls(count=count, total=_triple(total), squares=_triple(squares))

    @classmethod
    def of_values(cls, values: np.ndarray) -> "Moments":
        """Of values ``[N, 3]`` of any numeric type, summed in float64."""
        values = values.astype(np.float64)
        return cls.of_sums(len(values), values.sum(axis=0), (values**2).sum(axis=0))

    @classmethod
    def merged(cls, parts: Iterable["Moments"]) -> "Moments":
        """The sums over several parts."""
        parts = list(parts)
        total = np.sum([part.total for part in parts], axis=0) if parts else np.zeros(3)
        squares = np.sum([part.squares for part in parts], axis=0) if parts else np.zeros(3)
        return cls.of_sums(sum(part.count for part in parts), total, squares)

    def mean_and_deviation(self) -> tuple[Triple, Triple] | tuple[None, None]:
        """By channel; None where nothing was counted."""
        if not self.count:
            return None, None
        mean = np.array(self.total) / self.count
        variance = np.array(self.squares) / self.count - mean**2
        return _triple(mean), _triple(np.sqrt(np.maximum(variance, 0)))


def _triple(values: np.ndarray) -> Triple:
    x, y, z = values.tolist()
    return x, y, z
