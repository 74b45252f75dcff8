"""Entries and attacks compared pairwise on the same samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..results import PAIRS, frame
from ..statistics import ALPHA, Comparison, adjusted, compare
from .cells import BALL, Bools
from .entry import Entry

if TYPE_CHECKING:
    import pandas as pd


def pairs(entries: Iterable[Entry]) -> pd.DataFrame:
    """``results.PAIRS``: the entries of each ball by their worst cases, and the attacks on each entry."""
    rows: list[dict[str, Any]] = []
    for _, group in itertools.groupby(entries, key=lambda entry: entry.ball):
        ball = list(group)
        listed = [entry for entry in ball if entry.listed]
        rows += _rows({"kind": "entries"}, listed, compared(listed), [entry.words for entry in listed])
        for entry in ball:
            words = [charge.words for charge in entry.charges]
            rows += _rows({"kind": "attacks", "entry": entry.words}, [entry], _attacks(entry), words)
    return frame(PAIRS, rows)


def compared(ball: Sequence[Entry]) -> Comparison:
    """The entries of one ball, pairwise, by which samples held against all attacks."""
    seeds = sorted({seed for entry in ball for seed in entry.seeds})
    samples = np.unique(np.concatenate([[], *(seed.samples for entry in ball for seed in entry.seeds.values())]))
    held = np.zeros((len(seeds), len(ball), len(samples)), dtype=bool)
    known = held.copy()
    for place, entry in enumerate(ball):
        for number, seed in entry.seeds.items():
            rows = np.searchsorted(samples, seed.samples)
            held[seeds.index(number), place, rows] = seed.held()
            known[seeds.index(number), place, rows] = True
    return compare(held, known)


def _attacks(entry: Entry) -> Comparison:
    """The attacks on one entry, pairwise, by which samples held against each."""
    widest = max(len(seed.samples) for seed in entry.seeds.values())
    held = np.stack([_padded(seed.correct & ~seed.broken, widest) for seed in entry.seeds.values()])
    known = np.stack([_padded(seed.known, widest) for seed in entry.seeds.values()])
    return compare(held, known)


def _padded(values: Bools, width: int) -> Bools:
    padded: Bools = np.pad(values, ((0, 0), (0, width - values.shape[1])))
    return padded


def _rows(
    kind: dict[str, str], entries: Sequence[Entry], found: Comparison, names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """A row per pair; the p values of these pairs are corrected for one another."""
    first, second = found.pairs()
    corrected = adjusted(found.p[first, second])
    for i, j, p_adjusted in zip(first.tolist(), second.tolist(), corrected.tolist(), strict=True):
        yield {
            **dict(zip(BALL, entries[0].ball, strict=True)),
            **kind,
            "a": names[i],
            "b": names[j],
            "samples": int(found.samples[i, j]),
            "only_a": int(found.only[i, j]),
            "only_b": int(found.only[j, i]),
            "p": float(found.p[i, j]),
            "p_adjusted": p_adjusted,
            "different": p_adjusted < ALPHA,
        }
