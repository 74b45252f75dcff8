"""What each attack left of each label scheme, in a ball."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..leaderboard import ENTRY
from ..words import eps_text
from .canvas import FAINT, WORST, Look, grid, key, per_cent
from .source import GROUND, Nothing, Share, Source, entry_words, groups, mean, sample_words, told, where

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BALLS = 4
"""Sizes of a ball that are shown side by side, at most; ``curves`` has all of them."""


def robustness(source: Source) -> Figure:
    """Robust accuracy by label scheme: a point for each attack, the worst case over all of them, and clean accuracy."""
    rows = source.done.assign(entry=entry_words(source.done))
    board = source.results.leaderboard
    grounds = [(ground, eps, ball) for ground, ball, eps in _shown(rows)]
    if not any(ball["robust_accuracy"].notna().any() for *_, ball in grounds):
        raise Nothing("no attack has a verdict on every sample")
    common, own = told([ground | {"eps": f"eps {eps_text(eps)}"} for ground, eps, _ in grounds])
    entries = list(dict.fromkeys(rows["entry"]))[::-1]
    most = max(ball["charge"].nunique() for *_, ball in grounds)
    figure, axes = grid(
        f"Robust accuracy by label scheme and attack\n{common} · {sample_words(rows)}, 95 % intervals",
        own,
        size=(2.9, max(1.4, len(entries) * (0.11 * most + 0.28) + 0.5)),
        sharex=True,
        sharey=True,
    )
    for axis, (_, eps, ball) in zip(axes, grounds, strict=True):
        charges = set(ball["charge"])
        for place, entry in enumerate(entries):
            mine = ball[ball["entry"] == entry]
            _entry(axis, place, mine, {name: look for name, look in source.charges.items() if name in charges})
            _worst(axis, place, _listed(board, mine, eps), len(charges))
        axis.set_yticks(range(len(entries)), entries)
        axis.set_ylim(-0.5, len(entries) - 0.5)
        axis.grid(axis="y", visible=False)
        for edge in range(1, len(entries)):
            axis.axhline(edge - 0.5, color="#e6e6e6", linewidth=0.6)
        per_cent(axis.xaxis)
        axis.set_xlabel("accuracy in %")
    series = source.charges | {"worst case, sample by sample": WORST}
    key(figure, series | {"clean": Look(FAINT, "|", "")}, lines=False)
    return figure


def _shown(rows: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame, float]]:
    """The balls to show: of more than ``BALLS`` sizes those that lie evenly between the smallest and the largest."""
    found = []
    for ground, group in groups(rows, (*GROUND, "model")):
        sizes = sorted(group["eps"].unique().tolist())
        chosen = np.unique(np.linspace(0, len(sizes) - 1, min(BALLS, len(sizes))).round().astype(int))
        found += [(ground, group[group["eps"] == sizes[n]], float(sizes[n])) for n in chosen]
    return found


def _entry(axis: Axes, place: int, rows: pd.DataFrame, charges: Mapping[str, Look]) -> None:
    """The attacks on one entry, each on a line of its own around ``place``, and its clean accuracy."""
    heights = _heights(place, len(charges))
    for (name, look), height in zip(charges.items(), heights, strict=False):
        found = mean(rows[rows["charge"] == name], "robust_accuracy")
        if found:
            _point(axis, found, height, look.colour, look.marker, 4.5)
    clean = mean(rows, "clean_accuracy")
    if clean:
        axis.plot([clean.mean] * 2, [place - 0.4, place + 0.4], color=FAINT, linewidth=1, zorder=0)


def _worst(axis: Axes, place: int, listed: pd.DataFrame, charges: int) -> None:
    for row in listed.to_dict("records"):
        found = Share(row["robust_accuracy"], row["robust_low"], row["robust_high"])
        _point(axis, found, _heights(place, charges)[-1], WORST.colour, WORST.marker, 5)


def _heights(place: int, charges: int) -> list[float]:
    """A line for each attack and one for the worst case, from top to bottom within 0.8 of an entry."""
    return list(place + np.linspace(0.34, -0.34, charges + 1))


def _point(axis: Axes, found: Share, height: float, colour: str, marker: str, size: float) -> None:
    axis.plot([found.low, found.high], [height] * 2, color=colour, linewidth=0.9, alpha=0.75, solid_capstyle="butt")
    axis.plot([found.mean], [height], color=colour, marker=marker, markersize=size, linestyle="")


def _listed(board: pd.DataFrame, rows: pd.DataFrame, eps: float) -> pd.DataFrame:
    """The leaderboard's row of the entry that ``rows`` belong to, if it has one."""
    if rows.empty:
        return board.head(0)
    found = where(board, {name: rows[name].iloc[0] for name in (*GROUND, *ENTRY)})
    return found[np.isclose(found["eps"], eps)]
