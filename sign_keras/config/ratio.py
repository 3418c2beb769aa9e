"""Shares of frames, as whole numbers can count them."""

import math
from fractions import Fraction

# How many frames of a clip make one of a model's logits: a whole number, or a fraction where frames are selected.
FramesPerLogit = int | Fraction
# Ratios are kept to this denominator, so that a share of frames can be counted in whole numbers, within graphs too.
RATIO_STEPS = 1000


def ratio_share(ratio: float | Fraction) -> Fraction:
    """A ratio as the fraction that is meant, of a denominator of at most ``RATIO_STEPS``: 0.7 is 7/10.

    Raises:
        ValueError: it is not in (0, 1], or so small that it comes to nothing.
    """
    share = Fraction(ratio).limit_denominator(RATIO_STEPS) if math.isfinite(ratio) else Fraction(0)
    if not 0 < share <= 1 or ratio > 1:
        raise ValueError(
            f"selection ratio {float(ratio):g}; expected a number above 0 (from {1 / RATIO_STEPS:g}), to 1"
        )
    return share
