"""Accuracy against eps from minimal-norm attacks, cross-checked by the fixed-budget ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..evaluator import EPS_SLACK
from ..results import CURVES, frame
from ..statistics import ALPHA, adjusted, mcnemar, wilson
from .cells import Bools, CellRecords, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

QUANTILES = np.linspace(0.05, 1, 20)
"""Of the distances found: where the curve is read, besides every eps of the plan."""
CLOSE = 1e-4
"""Relative distance below which two quantiles are one point of the curve."""

_VICTIM = ("benchmark", "dataset", "model", "labels", "defence", "norm", "units", "seed", "knowledge")


def curves(cells: Iterable[CellRecords]) -> pd.DataFrame:
    """``results.CURVES``: for each victim, norm, and untargeted minimal-norm attack, the accuracy at many eps.

    One image per sample gives the whole curve: the sample is broken from its distance on. A fixed-budget attack that
    breaks samples which the curve still counts as robust shows that the curve is not converged there.
    """
    victims: dict[tuple[Any, ...], list[CellRecords]] = {}
    for cell in cells:
        if cell.outcomes is not None and cell.charge.goal == "untargeted":
            victims.setdefault(tuple(cell.identity.get(key) for key in _VICTIM), []).append(cell)
    rows = [
        dict(zip(_VICTIM, victim, strict=True)) | row
        for victim, own in victims.items()
        for cell in own
        if cell.minimal
        for row in _curve(cell, own)
    ]
    return frame(CURVES, _judged(rows))


def _curve(cell: CellRecords, victim: Sequence[CellRecords]) -> Iterator[dict[str, Any]]:
    assert cell.outcomes is not None
    if not cell.outcomes.decided.all():
        return
    samples = np.unique(cell.outcomes.sample)
    correct = ~_any(cell, samples, ~cell.outcomes.correct)
    distance = _distances(cell, samples)
    fixed = [other for other in victim if not other.minimal]
    for eps in _grid(distance[correct], victim, float(cell.outcomes.eps.max())):
        broken = correct & (distance <= eps * (1 + EPS_SLACK))
        held = int((correct & ~broken).sum())
        low, high = wilson(held, len(samples))
        yield {
            "attack": cell.identity["attack"],
            "eps": eps,
            "accuracy": held / len(samples),
            "low": low,
            "high": high,
            "samples": len(samples),
            **_cross_check(fixed, samples, correct, broken, eps),
        }


def _grid(distances: Floats, victim: Iterable[CellRecords], largest: float) -> list[float]:
    """Where the curve is read: at no perturbation, at the distances' quantiles, and at every eps of the plan."""
    found = distances[np.isfinite(distances)]
    steps = np.quantile(found, QUANTILES, method="inverted_cdf") if len(found) else np.empty(0)
    steps = steps[np.diff(steps, append=np.inf) > CLOSE * steps]
    planned = [cell.outcomes.eps for cell in victim if cell.outcomes is not None]
    grid = np.unique(np.concatenate([[0.0], steps, *planned]))
    inside: list[float] = grid[grid <= largest].tolist()
    return inside


def _any(cell: CellRecords, samples: Ints, records: Bools) -> Bools:
    """(N,): whether any of the records (R,) that are marked belongs to the sample."""
    assert cell.outcomes is not None
    found = np.zeros(len(samples), dtype=bool)
    row = np.searchsorted(samples, cell.outcomes.sample[records])
    found[row[row < len(samples)]] = True
    return found


def _distances(cell: CellRecords, samples: Ints) -> Floats:
    """(N,): from which eps on each sample is broken; infinite if it never was."""
    outcomes = cell.outcomes
    assert outcomes is not None
    found = np.full(len(samples), math.inf)
    row = np.searchsorted(samples, outcomes.sample[outcomes.left])
    # The verdict at an eps allows for rounding that a distance alone does not know of.
    np.minimum.at(found, row, np.minimum(outcomes.distance, outcomes.eps)[outcomes.left])
    return found


def _cross_check(
    fixed: Sequence[CellRecords], samples: Ints, correct: Bools, broken: Bools, eps: float
) -> dict[str, Any]:
    """What the fixed-budget attacks run at this eps say of the same samples, all taken together."""
    here = [cell for cell in fixed if cell.outcomes is not None and _covers(cell, samples, eps)]
    if not here:
        return {}
    theirs = np.zeros(len(samples), dtype=bool)
    for cell in here:
        assert cell.outcomes is not None
        theirs |= _any(cell, samples, cell.outcomes.left & cell.outcomes.inside(eps))
    theirs &= correct
    only_curve, only_fixed = int((broken & ~theirs).sum()), int((theirs & ~broken).sum())
    return {
        "fixed_attacks": len({cell.charge for cell in here}),
        "fixed_accuracy": float((correct & ~theirs).mean()),
        "only_curve": only_curve,
        "only_fixed": only_fixed,
        "p": float(mcnemar(np.array(only_curve), np.array(only_fixed))),
    }


def _covers(cell: CellRecords, samples: Ints, eps: float) -> bool:
    """Whether the cell was run at this eps on these samples, with a verdict on each."""
    outcomes = cell.outcomes
    assert outcomes is not None
    at = outcomes.at(eps)
    return bool(at.any() and outcomes.decided[at].all() and np.array_equal(np.unique(outcomes.sample[at]), samples))


def _judged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their p values corrected for one another, and in words who is behind."""
    checked = [row for row in rows if "p" in row]
    corrected = adjusted(np.array([row["p"] for row in checked]))
    for row, p_adjusted in zip(checked, corrected.tolist(), strict=True):
        row["p_adjusted"] = p_adjusted
        if p_adjusted < ALPHA:
            behind = row["only_fixed"] > row["only_curve"]
            row["disagreement"] = "curve not converged" if behind else "fixed-budget attacks weaker"
    return rows
