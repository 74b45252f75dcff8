"""Paired comparisons on the same samples: McNemar's exact test, its correction over a table, and ranks from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shares import wilson

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ALPHA = 0.05
"""Level of every test, after the correction for the number of tests."""


def mcnemar(only_a: Ints, only_b: Ints) -> Floats:
    """Two-sided p of McNemar's exact test (McNemar 1947, Psychometrika 12), elementwise.

    ``only_a`` and ``only_b`` count the samples that only one of the two got right: if neither is better, each of these
    falls to either side like a fair coin. Without any, p is 1.
    """
    from scipy.stats import binom

    fewer = np.minimum(only_a, only_b)
    p: Floats = np.minimum(1.0, 2 * binom.cdf(fewer, only_a + only_b, 0.5))
    return p


def adjusted(p: Floats) -> Floats:
    """P values (M,) corrected for there being M of them (Benjamini & Hochberg 1995, JRSS B 57)."""
    from scipy.stats import false_discovery_control

    corrected: Floats = false_discovery_control(p) if len(p) else p
    return corrected


def sure(p: Floats) -> Bools:
    """Which of M differences (M,) are sure together: a single false one among them has a chance of at most 5 %.

    Holm 1979, Scand. J. Statist. 6. It asks for more than ``adjusted``, which bounds the share of false ones.
    """
    order = np.argsort(p, kind="stable")
    found = np.zeros(len(p), dtype=bool)
    found[order] = np.logical_and.accumulate(p[order] * np.arange(len(p), 0, -1) < ALPHA)
    return found


@dataclass(frozen=True)
class Comparison:
    """K things compared pairwise over all seeds.

    ``only[i, j]`` counts the samples of all seeds that i got right and j did not, ``samples`` those that both were
    tried on, ``p`` is the p value of their difference: each (K, K), ``p`` symmetric.
    """

    only: Ints
    samples: Ints
    p: Floats

    def pairs(self) -> tuple[Ints, Ints]:
        """The pairs (M,), (M,), each once, that have samples in common."""
        first, second = np.triu_indices(len(self.only), 1)
        shared = self.samples[first, second] > 0
        return first[shared], second[shared]

    def surely_better(self) -> Bools:
        """(K, K): whether i is better than j, so that all of it holds at once with 95 % confidence."""
        better = np.zeros(self.only.shape, dtype=bool)
        i, j = self.pairs()
        found = sure(self.p[i, j])
        better[i, j] = found & (self.only[i, j] > self.only[j, i])
        better[j, i] = found & (self.only[j, i] > self.only[i, j])
        return better


def compare(held: Bools, known: Bools) -> Comparison:
    """Compare K things pairwise from ``held`` and ``known`` (S, K, N): right, and tried, for S seeds and N samples.

    Each seed has a test of its own. Seeds share their images and so are not independent: a difference of several seeds
    is as sure as in the seed that is least sure, and none at all where seeds contradict each other. This is the
    intersection-union test of "different in the same direction with every seed" (Berger 1982, Technometrics 24), which
    holds its level however seeds hang together; it is McNemar's test for one seed.
    """
    # Whole numbers below 2^24 are exact in float32, which is much quicker to multiply than integers.
    right, lost = (held & known).astype(np.float32), (known & ~held).astype(np.float32)
    only = np.rint(right @ lost.swapaxes(1, 2)).astype(np.int64)
    samples = np.rint(known.astype(np.float32) @ known.astype(np.float32).swapaxes(1, 2)).astype(np.int64)
    flipped = only.swapaxes(1, 2)
    shared = samples > 0
    p = np.where(shared, mcnemar(only, flipped), 0.0).max(axis=0, initial=0.0)
    ways = [(np.sign(only - flipped) == way) | ~shared for way in (1, -1)]
    agreed = ways[0].all(axis=0) | ways[1].all(axis=0)
    return Comparison(only.sum(axis=0), samples.sum(axis=0), np.where(agreed & shared.any(axis=0), p, 1.0))


def ranks(better: Bools) -> tuple[Ints, Ints]:
    """The first and the last rank (K,) that each of K entries may have, from ``better`` (K, K): i surely beats j.

    An entry stands behind all that are surely better and before all that are surely worse, wherever the rest belong.
    As long as ``better`` holds no false claim, every interval contains the true rank, and with ties all places that a
    tie spans (Mohamad, Goeman & van Zwet 2019, arXiv:1708.02729).
    """
    return 1 + better.sum(axis=0), len(better) - better.sum(axis=1)


def difference(both: int, only_a: int, only_b: int, neither: int) -> tuple[float, float]:
    """95 % interval of share b minus share a on the same samples (Newcombe 1998, Stat. Med. 17:2635, method 10).

    The two Wilson intervals are squared and added, less what the pairing explains.
    """
    count = both + only_a + only_b + neither
    if not count:
        return math.nan, math.nan
    a, b = (both + only_a) / count, (both + only_b) / count
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, count), wilson(both + only_b, count)
    phi = _phi(both, only_a, only_b, neither)
    down = _added(b - low_b, high_a - a, phi)
    up = _added(high_b - b, a - low_a, phi)
    return b - a - down, b - a + up


def _added(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def _phi(both: int, only_a: int, only_b: int, neither: int) -> float:
    """The correlation of the pairs, with the paper's correction for continuity."""
    product = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    surplus = float(both * neither - only_a * only_b)
    if surplus > 0:
        surplus = max(0.0, surplus - (both + only_a + only_b + neither) / 2)
    return surplus / math.sqrt(product) if product else 0.0
