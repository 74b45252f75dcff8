"""Intervals of shares: Wilson's for one network, widened by the spread between seeds for several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LEVEL = 0.95
"""Confidence of every interval."""
Z = 1.959963984540054
"""The normal distribution's 97.5 % point."""


def wilson(successes: float, count: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share (Wilson 1927, JASA 22); not a number for no samples at all.

    ``successes`` may be a mean over seeds, and so no whole number.
    """
    if not count:
        return math.nan, math.nan
    share = successes / count
    middle = (successes + Z * Z / 2) / (count + Z * Z)
    reach = Z / (count + Z * Z) * math.sqrt(count * share * (1 - share) + Z * Z / 4)
    # At the ends the interval is closed: rounding must not put 1e-17 in the place of 0.
    return (0.0 if share <= 0 else middle - reach), (1.0 if share >= 1 else middle + reach)


def over_seeds(shares: Sequence[float], samples: int) -> tuple[float, float]:
    """95 % interval of the mean of several seeds' shares, all measured on the same ``samples`` images.

    Two things vary: which images were drawn, and how the training went. Seeds share their images, so the first part is
    Wilson's interval for ``samples`` images and not for seeds times as many; the second is Student's interval of the
    mean of the seeds. The two arms are squared and added on each side (Newcombe 1998, Stat. Med. 17:873). With one seed
    it is Wilson's interval, and speaks of that one network only.
    """
    if not shares:
        return math.nan, math.nan
    mean = sum(shares) / len(shares)
    low, high = wilson(mean * samples, samples)
    spread = _student(shares)
    return max(0.0, mean - math.hypot(mean - low, spread)), min(1.0, mean + math.hypot(high - mean, spread))


def _student(values: Sequence[float]) -> float:
    """Half the width of Student's interval of a mean; nothing is known of the spread from one value."""
    if len(values) < 2:
        return 0.0
    from scipy.stats import t

    quantile = float(t.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values))
