"""Areas under the curves of a detector's score, and the interval of the first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


def areas(clean: NDArray[np.float64], adversarial: NDArray[np.float64]) -> tuple[float, float]:
    """Area under the ROC curve, and average precision, of scores that are higher for adversarial images.

    The first is the share of (clean, adversarial) pairs in the right order, ties counting half. The second is what
    scikit-learn calls average precision: the area under precision against recall without interpolation; it depends
    on how many adversarial images there are to a clean one. Not numbers where either kind is missing.
    """
    if not len(clean) or not len(adversarial):
        return math.nan, math.nan
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = np.r_[np.zeros(len(clean)), np.ones(len(adversarial))]
    scores = np.r_[clean, adversarial]
    return float(roc_auc_score(truth, scores)), float(average_precision_score(truth, scores))


def area_interval(area: float, clean: int, adversarial: int) -> tuple[float, float]:
    """95 % interval of the area under a ROC curve of so many clean and adversarial images.

    Hanley & McNeil 1982, Radiology 143:29, give the variance; as Newcombe 2006, Stat. Med. 25:559, does in his
    method 5, it is taken at the limit instead of the estimate, and both counts in it are replaced by their mean.
    So it does not shrink to nothing at an area of 1, as DeLong's does. Images count as independent.
    """
    if math.isnan(area) or not clean or not adversarial:
        return math.nan, math.nan
    low = 0.0 if area <= 0 else _limit(area, 0.0, clean, adversarial)
    high = 1.0 if area >= 1 else _limit(area, 1.0, clean, adversarial)
    return low, high


def _limit(area: float, end: float, clean: int, adversarial: int) -> float:
    """The value between ``area`` and ``end`` that lies ``Z`` of its own standard deviations from ``area``."""
    from scipy.optimize import brentq

    def excess(true: float) -> float:
        return (true - area) ** 2 - Z * Z * _variance(true, clean, adversarial)

    # An area of 0 or 1 has no variance and is a root itself: the other one is looked for.
    return float(brentq(excess, area + (end - area) * 1e-9, end, xtol=1e-12))


def _variance(true: float, clean: int, adversarial: int) -> float:
    others = (clean + adversarial) / 2 - 1
    spread = 1 + others * ((1 - true) / (2 - true) + true / (1 + true))
    return true * (1 - true) * spread / (clean * adversarial)
