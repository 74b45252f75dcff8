"""The leaderboard: entries by their worst case, with what is sure of their order, and the same seed by seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..results import LEADERBOARD, SEEDS, frame
from ..statistics import over_seeds, ranks, wilson
from .entry import Entry, Seed
from .pairs import compared

if TYPE_CHECKING:
    import pandas as pd


def leaderboard(entries: Iterable[Entry]) -> pd.DataFrame:
    """``results.LEADERBOARD``: within each ball, the entries by robust accuracy.

    A sample counts as broken if any attack that ran, of whatever goal, knowledge and health, left its class with a
    verified image inside the ball. Entries on which some sample was charged by no sound attack (``health.sound``)
    are left out.
    """
    rows: list[dict[str, Any]] = []
    listed = [entry for entry in entries if entry.listed]
    for _, group in itertools.groupby(listed, key=lambda entry: entry.ball):
        rows += _ranked(list(group))
    return frame(LEADERBOARD, rows)


def _ranked(ball: Sequence[Entry]) -> list[dict[str, Any]]:
    low, high = ranks(compared(ball).surely_better())
    rows = [
        _row(entry) | {"rank_low": int(first), "rank_high": int(last)}
        for entry, first, last in zip(ball, low, high, strict=True)
    ]
    # The order of seeds must not decide about the last bit of a mean, and so about a tie.
    accuracies = [round(row["robust_accuracy"], 12) for row in rows]
    for row, own in zip(rows, accuracies, strict=True):
        row["rank"] = 1 + sum(other > own for other in accuracies)
    return sorted(rows, key=lambda row: (row["rank"], -row["clean_accuracy"]))


def _row(entry: Entry) -> dict[str, Any]:
    seeds = list(entry.seeds.values())
    robust = [_share(seed.held()) for seed in seeds]
    clean = [_share(seed.correct) for seed in seeds]
    samples = max(len(seed.samples) for seed in seeds)
    robust_low, robust_high = over_seeds(robust, samples)
    clean_low, clean_high = over_seeds(clean, samples)
    known = {f"{word}_accuracy": _against(entry, word) for word in ("oblivious", "transfer", "adaptive")}
    seeming = float(np.fmin(known["oblivious_accuracy"], known["transfer_accuracy"]))
    return {
        **entry.columns,
        "robust_accuracy": _mean(robust),
        "robust_low": robust_low,
        "robust_high": robust_high,
        "robust_worst_seed": min(robust),
        "clean_accuracy": _mean(clean),
        "clean_low": clean_low,
        "clean_high": clean_high,
        **known,
        "gap": seeming - known["adaptive_accuracy"],
        "winning_attack": _winning(entry, seeds),
        "attacks": len(entry.charges),
        "unhealthy": int((~entry.sound).sum()),
        "incomplete": entry.incomplete,
        "flags": _flags(entry),
        "seeds": len(seeds),
        "samples": samples,
    }


def _against(entry: Entry, knowledge: str) -> float:
    """The robust accuracy over attacks of one knowledge; not a number unless they charged every sample."""
    attacks = np.array([charge.knowledge == knowledge for charge in entry.charges])
    if not all(seed.charged(attacks & entry.sound) for seed in entry.seeds.values()):
        return math.nan
    return _mean([_share(seed.held(attacks)) for seed in entry.seeds.values()])


def _winning(entry: Entry, seeds: Sequence[Seed]) -> str | None:
    """The attack that broke most samples by itself, if any broke one."""
    kills = sum(seed.kills.sum(axis=1) for seed in seeds)
    return entry.charges[int(np.argmax(kills))].words if np.any(kills) else None


def _flags(entry: Entry) -> str | None:
    found = (cell.identity.get("flags") or "" for cells in entry.cells.values() for cell in cells)
    names = dict.fromkeys(name for flags in found for name in flags.split("; ") if name)
    return "; ".join(names) or None


def _share(samples: Any) -> float:
    return float(np.mean(samples))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def seeds(entries: Iterable[Entry]) -> pd.DataFrame:
    """``results.SEEDS``: the leaderboard's entries seed by seed."""
    found = [
        _seed_row(entry, number, seed) for entry in entries if entry.listed for number, seed in entry.seeds.items()
    ]
    return frame(SEEDS, found)


def _seed_row(entry: Entry, number: int, seed: Seed) -> dict[str, Any]:
    count, held, right = len(seed.samples), int(seed.held().sum()), int(seed.correct.sum())
    robust_low, robust_high = wilson(held, count)
    clean_low, clean_high = wilson(right, count)
    return {
        **entry.columns,
        "seed": number,
        "robust_accuracy": held / count,
        "robust_low": robust_low,
        "robust_high": robust_high,
        "clean_accuracy": right / count,
        "clean_low": clean_low,
        "clean_high": clean_high,
        "winning_attack": _winning(entry, [seed]),
        "samples": count,
    }
