"""Numbers from the records of one cell: its rates with intervals, one row per eps."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..results import STATUSES, VERDICTS
from .shares import wilson

if TYPE_CHECKING:
    import pandas as pd


def by_sample(records: pd.DataFrame) -> pd.DataFrame:
    """One row per sample and eps: an attack that had several targets counts by its best one."""
    known = records.assign(
        decided=records["status"].isin(list(VERDICTS)),
        reached_target=records["reached_target"].fillna(False),
        came=records["claimed"].notna(),
        claimed=records["claimed"].fillna(False),
    )
    grouped = known.groupby(["eps", "sample"], sort=True)
    merged: pd.DataFrame = grouped.agg(
        correct=("correct", "first"),
        left_class=("left_class", "any"),
        reached_target=("reached_target", "any"),
        success=("success", "any"),
        distance=("distance", "min"),
        forwards=("forwards", "sum"),
        backwards=("backwards", "sum"),
        decided=("decided", "all"),
        came=("came", "all"),
        claimed=("claimed", "all"),
        flipped=("flipped", "max"),
    )
    return merged.reset_index()


def cell_metrics(records: pd.DataFrame, targeted: bool) -> list[dict[str, Any]]:
    """The metric columns of ``results.RESULTS`` for one cell: one mapping per eps, from its records."""
    statuses = {eps: status.value_counts() for eps, status in records.groupby("eps")["status"]}
    reasons = {eps: unjudged(rows) for eps, rows in records.groupby("eps")}
    return [
        _metrics(rows, targeted)
        | {"eps": eps, "reason": reasons[eps]}
        | {word: int(statuses[eps].get(word, 0)) for word in STATUSES}
        for eps, rows in by_sample(records).groupby("eps", sort=True)
    ]


def unjudged(records: pd.DataFrame) -> str | None:
    """How many samples have no verdict, with status and reason, in a line; None where all have one."""
    rows = records[~records["status"].isin(list(VERDICTS))]
    rows = rows.drop_duplicates(["sample", "status", "reason"])
    counts = Counter(zip(rows["status"], rows["reason"].fillna("no reason"), strict=True))
    return "; ".join(f"{n} samples {status}: {reason}" for (status, reason), n in sorted(counts.items())) or None


def imprecise(records: pd.DataFrame) -> str | None:
    """Why a search in low precision is not to be trusted: its word on more images was wrong than chance explains."""
    for eps, rows in by_sample(records).groupby("eps", sort=True):
        flips = _flip_rate(rows)
        low, high = wilson(int((rows["correct"] & ~rows["left_class"]).sum()), len(rows))
        if flips is not None and flips > high - low:
            return (
                f"at eps = {eps:g} the search in low precision was wrong on {flips:.1%} of the images it found, more "
                f'than the {high - low:.1%} of the interval of its robust accuracy; set precision = "full"'
            )
    return None


def _metrics(rows: pd.DataFrame, targeted: bool) -> dict[str, Any]:
    count, right = len(rows), int(rows["correct"].sum())
    left = int(rows["left_class"].sum())
    clean_low, clean_high = wilson(right, count)
    metrics: dict[str, Any] = {
        "samples": count,
        "clean_accuracy": right / count,
        "clean_low": clean_low,
        "clean_high": clean_high,
        "median_distance": rows["distance"].median(),
        "mean_distance": rows["distance"].mean(),
        "forwards": rows.loc[rows["correct"], "forwards"].mean(),
        "backwards": rows.loc[rows["correct"], "backwards"].mean(),
        "flip_rate": _flip_rate(rows),
    }
    if rows["came"].all():
        metrics["claimed_accuracy"] = int(rows["claimed"].sum()) / count
    if rows["decided"].all():
        # A sample without a verdict is neither robust nor broken: no share is better than a wrong one.
        low, high = wilson(right - left, count)
        metrics |= {"robust_accuracy": (right - left) / count, "robust_low": low, "robust_high": high}
        if right:
            metrics |= {"success_rate": int(rows["success"].sum()) / right, "left_rate": left / right}
            metrics |= {"target_rate": int(rows["reached_target"].sum()) / right} if targeted else {}
    return metrics


def _flip_rate(rows: pd.DataFrame) -> float | None:
    """Share of the samples searched in low precision on which that was wrong; None where none was."""
    known = rows["flipped"].dropna()
    return float(known.mean()) if len(known) else None
