"""Per-sample records of many cells to a leaderboard: the worst case over attacks, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .evaluator import EPS_SLACK
from .results import LEADERBOARD, VERDICTS, frame
from .statistics import wilson

if TYPE_CHECKING:
    import pandas as pd

BALL = ["benchmark", "dataset", "norm", "eps"]
ENTRY = ["model", "labels", "defence"]


@dataclass(frozen=True)
class CellRecords:
    """The records of one cell and the identity columns of its rows; none if it failed."""

    identity: dict[str, Any]
    records: pd.DataFrame | None


def leaderboard(cells: Iterable[CellRecords]) -> pd.DataFrame:
    """``results.LEADERBOARD``: within each ball, the entries by robust accuracy.

    An entry is a model, a label scheme and a defence. A sample counts as broken if any attack that ran, of
    whatever goal and knowledge, left its class with a verified image inside the ball: an image found for a
    smaller ball lies in the larger one too. Averages over attacks are never formed.
    """
    import pandas as pd

    cells = list(cells)
    balls = {(c.identity["benchmark"], c.identity["dataset"], c.identity["norm"], e) for c in cells for e in _eps(c)}
    rows: list[dict[str, Any]] = []
    for ball in sorted(balls):
        here = [c for c in cells if (c.identity["benchmark"], c.identity["dataset"], c.identity["norm"]) == ball[:3]]
        entries = {tuple(c.identity[key] for key in ENTRY): None for c in here}
        found = [
            _entry([c for c in here if tuple(c.identity[k] for k in ENTRY) == entry], ball[3]) for entry in entries
        ]
        table = pd.DataFrame([row for row in found if row])
        if table.empty:
            continue
        table = table.sort_values(
            ["robust_accuracy", "clean_accuracy", *ENTRY], ascending=[False, False, True, True, True]
        )
        table["rank"] = table["robust_accuracy"].rank(ascending=False, method="min").astype(int)
        rows += [
            dict(zip(BALL, ball, strict=True)) | {str(k): v for k, v in row.items()} for row in table.to_dict("records")
        ]
    return frame(LEADERBOARD, rows)


def _eps(cell: CellRecords) -> list[float]:
    return [] if cell.records is None else sorted(cell.records["eps"].unique().tolist())


def _entry(cells: list[CellRecords], eps: float) -> dict[str, Any] | None:
    """The row of one entry in one ball, or None if no attack ran against it there."""
    ran = [c for c in cells if c.records is not None]
    seeds = {c.identity["seed"]: [o for o in ran if o.identity["seed"] == c.identity["seed"]] for c in ran}
    worst = {seed: _worst_case(several, eps) for seed, several in seeds.items()}
    worst = {seed: table for seed, table in worst.items() if len(table)}
    if not worst:
        return None
    robust = {seed: float((t["correct"] & ~t["broken"]).mean()) for seed, t in worst.items()}
    count = sum(len(table) for table in worst.values())
    held = sum(int((t["correct"] & ~t["broken"]).sum()) for t in worst.values())
    right = sum(int(t["correct"].sum()) for t in worst.values())
    robust_low, robust_high = wilson(held, count)
    clean_low, clean_high = wilson(right, count)
    alone = _alone(ran, eps)
    return {
        **{key: cells[0].identity[key] for key in ENTRY},
        "robust_accuracy": sum(robust.values()) / len(robust),
        "robust_low": robust_low,
        "robust_high": robust_high,
        "robust_worst_seed": min(robust.values()),
        "clean_accuracy": sum(float(t["correct"].mean()) for t in worst.values()) / len(worst),
        "clean_low": clean_low,
        "clean_high": clean_high,
        "winning_attack": min(alone, key=lambda name: (alone[name], name)),
        "attacks": len(alone),
        "incomplete": sum(_incomplete(cell, eps) for cell in cells),
        "seeds": len(worst),
        "samples": max(len(table) for table in worst.values()),
    }


def _worst_case(cells: list[CellRecords], eps: float) -> pd.DataFrame:
    """For each sample of one seed: initially right, and broken by any attack inside the ball."""
    import pandas as pd

    rows = pd.concat([_inside(cell, eps) for cell in cells])
    grouped: pd.DataFrame = rows.groupby("sample").agg(correct=("correct", "first"), broken=("left_class", "any"))
    return grouped


def _inside(cell: CellRecords, eps: float) -> pd.DataFrame:
    """The records that say something about the ball of this radius: those judged in it or in a smaller one."""
    assert cell.records is not None
    return cell.records[cell.records["eps"] <= eps * (1 + EPS_SLACK)]


def _alone(cells: list[CellRecords], eps: float) -> dict[str, float]:
    """The robust accuracy that each attack leaves by itself, over all seeds."""
    left: dict[str, list[int]] = {}
    for cell in cells:
        table = _worst_case([cell], eps)
        if len(table):
            held = left.setdefault(cell.identity["attack"], [0, 0])
            held[0] += int((table["correct"] & ~table["broken"]).sum())
            held[1] += len(table)
    return {attack: kept / count for attack, (kept, count) in left.items()}


def _incomplete(cell: CellRecords, eps: float) -> bool:
    if cell.records is None:
        return True
    return not _inside(cell, eps)["status"].isin(list(VERDICTS)).all()
