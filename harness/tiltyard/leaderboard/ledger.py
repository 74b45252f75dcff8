"""The ledger of attacks: what each did alone, what only it did, and which would have been enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..results import ATTACKS, frame
from ..statistics import over_seeds, smallest_subset, wilson
from .cells import Bools, CellRecords, Charge
from .entry import Entry
from .worst import winners

if TYPE_CHECKING:
    import pandas as pd


def ledger(entries: Iterable[Entry]) -> pd.DataFrame:
    """``results.ATTACKS``: a row for each attack on each entry in each ball."""
    return frame(ATTACKS, [row for entry in entries for row in _rows(entry)])


def _rows(entry: Entry) -> Iterator[dict[str, Any]]:
    kills = entry.kills
    alone = kills & (kills.sum(axis=0) == 1)
    wins = np.concatenate([winners(seed) for seed in entry.seeds.values()])
    enough = _enough(entry, kills)
    for attack, charge in enumerate(entry.charges):
        yield {
            **entry.columns,
            **charge._asdict(),
            "targets": charge.targets or None,
            **_accuracy(entry, attack),
            "kills": int(kills[attack].sum()),
            "unique_kills": int(alone[attack].sum()),
            "wins": int((wins == attack).sum()),
            "in_smallest_subset": bool(enough[attack]),
            **_spent(entry, charge),
            "health": next((cell.identity.get("health") for cell in entry.cells[charge]), None),
        }


def _accuracy(entry: Entry, attack: int) -> dict[str, float]:
    """The robust accuracy that one attack leaves; nothing where a sample lacks its verdict."""
    only = np.arange(len(entry.charges)) == attack
    seeds = list(entry.seeds.values())
    if not all(seed.charged(only) for seed in seeds):
        return {}
    shares = [float(seed.held(only).mean()) for seed in seeds]
    low, high = over_seeds(shares, max(len(seed.samples) for seed in seeds))
    return {"robust_accuracy": sum(shares) / len(shares), "robust_low": low, "robust_high": high}


def _enough(entry: Entry, kills: Bools) -> Bools:
    """(A,): the smallest set of attacks whose robust accuracy lies within Wilson's interval of the worst case.

    The networks are the same in both, so that the spread between seeds is no reason to be content with less.
    """
    seeds = list(entry.seeds.values())
    held, right, every = (sum(int(s.sum()) for s in part) for part in zip(*map(_counts, seeds), strict=True))
    images = max(len(seed.samples) for seed in seeds)
    _, high = wilson(held / every * images, images)
    return smallest_subset(kills, right - high * every)


def _counts(seed: Any) -> tuple[Bools, Bools, Bools]:
    return seed.held(), seed.correct, np.ones(len(seed.samples), dtype=bool)


def _spent(entry: Entry, charge: Charge) -> dict[str, float]:
    """Passes per attacked sample in this ball, and the seconds of all cells of this attack, with all their eps."""
    cells = entry.cells[charge]
    passes = [_passes(cell, entry.ball[-1]) for cell in cells]
    attacked = sum(count for _, _, count in passes)
    spent = {"seconds": float(np.nansum([cell.seconds for cell in cells]))} if _timed(cells) else {}
    if not attacked:
        return spent
    return spent | {
        "forwards": sum(forwards for forwards, _, _ in passes) / attacked,
        "backwards": sum(backwards for _, backwards, _ in passes) / attacked,
    }


def _timed(cells: Iterable[CellRecords]) -> bool:
    return any(np.isfinite(cell.seconds) for cell in cells)


def _passes(cell: CellRecords, eps: float) -> tuple[int, int, int]:
    """Forwards, backwards, and the samples they were spent on."""
    outcomes = cell.outcomes
    assert outcomes is not None
    spent = outcomes.at(eps) & outcomes.correct
    return (
        int(outcomes.forwards[spent].sum()),
        int(outcomes.backwards[spent].sum()),
        len(np.unique(outcomes.sample[spent])),
    )
