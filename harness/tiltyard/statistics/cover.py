"""The fewest attacks that do the work of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXACT = 16
"""Up to this many attacks all 2^A sets are looked at."""


def smallest_subset(broken: NDArray[np.bool_], needed: float) -> NDArray[np.bool_]:
    """Which of A attacks (A,) belong to the smallest set that breaks at least ``needed`` samples between them.

    ``broken`` (A, N) tells which sample falls to which attack. Of several smallest sets the one that breaks most is
    taken. With more than 16 attacks the set is grown greedily (Chvatal 1979, Math. Oper. Res. 4) and may be larger.
    """
    needed = min(needed, int(broken.any(axis=0).sum()))
    return _exact(broken, needed) if len(broken) <= EXACT else _greedy(broken, needed)


def _exact(broken: NDArray[np.bool_], needed: float) -> NDArray[np.bool_]:
    """All sets at once: a set is a binary number, and leaves the samples that fall only to attacks outside it."""
    attacks = len(broken)
    bits = np.arange(attacks)
    sizes = np.zeros(2**attacks, dtype=np.int64)
    within = np.bincount((broken.T << bits).sum(axis=1).astype(np.int64), minlength=2**attacks)
    for bit in range(attacks):
        # Sums over subsets, one attack after the other: samples whose attackers all belong to the set.
        halves = within.reshape(-1, 2, 2**bit)
        halves[:, 1] += halves[:, 0]
        sizes.reshape(-1, 2, 2**bit)[:, 1] += 1
    reached = broken.shape[1] - within[::-1]
    price = np.where(reached >= needed, sizes * (broken.shape[1] + 1) - reached, np.iinfo(np.int64).max)
    chosen: NDArray[np.bool_] = (int(price.argmin()) >> bits) & 1 == 1
    return chosen


def _greedy(broken: NDArray[np.bool_], needed: float) -> NDArray[np.bool_]:
    chosen = np.zeros(len(broken), dtype=bool)
    left = broken.copy()
    while broken[chosen].any(axis=0).sum() < needed:
        chosen[left.sum(axis=1).argmax()] = True
        left &= ~broken[chosen].any(axis=0)
    return chosen
