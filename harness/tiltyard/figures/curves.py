"""Accuracy against the size of the ball."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..leaderboard import ENTRY
from ..words import eps_text
from .canvas import WORST, Look, grid, key, per_cent
from .source import GROUND, Nothing, Share, Source, groups, in_order, mean, sample_words, told, where

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = tuple[NDArray[np.float64], NDArray[np.float64]]
TICKS = 4
"""Sizes of a ball up to which each has its own tick."""


def curves(source: Source) -> Figure:
    """Accuracy against eps: a panel for each entry, a line for each attack, and the worst case over all of them."""
    rows = source.done[source.done["robust_accuracy"].notna()]
    if rows.empty:
        raise Nothing("no attack has a verdict on every sample")
    panels = in_order(list(groups(rows, (*GROUND, *ENTRY))), GROUND)
    common, own = told([words for words, _ in panels])
    figure, axes = grid(
        f"Accuracy against eps, by attack\n{common} · {sample_words(rows)}, band: 95 % interval of the worst case; "
        "thin lines join what was measured",
        own,
        sharey=True,
    )
    for axis, (words, group) in zip(axes, panels, strict=True):
        clean = mean(group, "clean_accuracy")
        assert clean is not None
        for name, attack in group.groupby("charge", sort=False):
            look = source.charges[str(name)]
            _line(axis, _measured(attack, clean), _continuous(source, attack), look)
        _worst(axis, where(source.results.leaderboard, words), clean)
        _sizes(axis, sorted(group["eps"].unique()))
        per_cent(axis.yaxis)
    charges = {name: look for name, look in source.charges.items() if name in set(rows["charge"])}
    key(figure, charges | {"worst case, sample by sample": WORST})
    return figure


def _line(axis: Axes, measured: Points, continuous: Points | None, look: Look) -> None:
    """What was measured, as points that a thin line joins unless there is a curve between them."""
    axis.plot(*measured, color=look.colour, marker=look.marker, linestyle="" if continuous else look.line, linewidth=1)
    if continuous:
        axis.plot(*continuous, color=look.colour, linestyle=look.line)


def _measured(attack: pd.DataFrame, clean: Share) -> Points:
    """The accuracy at each eps of the plan, and at none."""
    found = {float(str(eps)): mean(rows, "robust_accuracy") for eps, rows in attack.groupby("eps")}
    known = [(0.0, clean.mean), *((eps, share.mean) for eps, share in found.items() if share)]
    eps, accuracy = np.array(sorted(known)).T
    return eps, accuracy


def _continuous(source: Source, attack: pd.DataFrame) -> Points | None:
    """The curve that a minimal-norm attack gives between those eps; None for any other attack."""
    table = where(source.results.csv("curves"), {name: attack[name].iloc[0] for name in (*GROUND, *ENTRY, "attack")})
    table = where(table, {"knowledge": attack["knowledge"].iloc[0]})
    if table.empty or attack["goal"].iloc[0] != "untargeted":
        return None
    eps = np.unique(table["eps"])
    seeds = [np.interp(eps, rows["eps"], rows["accuracy"]) for _, rows in table.groupby("seed")]
    return eps, np.mean(seeds, axis=0)


def _worst(axis: Axes, board: pd.DataFrame, clean: Share) -> None:
    points = [(0.0, *clean)]
    points += board[["eps", "robust_accuracy", "robust_low", "robust_high"]].itertuples(index=False, name=None)
    if len(points) < 2:
        return
    eps, middle, low, high = np.array(sorted(points)).T
    axis.plot(eps, middle, color=WORST.colour, marker=WORST.marker, markersize=3.5, linewidth=1, zorder=3)
    axis.fill_between(eps, low, high, color=WORST.colour, alpha=0.12, linewidth=0)


def _sizes(axis: Axes, eps: list[Any]) -> None:
    axis.set_xlabel("eps")
    axis.set_xlim(0, 1.04 * eps[-1])
    if len(eps) <= TICKS:
        axis.set_xticks([0.0, *eps], ["0", *map(eps_text, eps)])
