"""Accuracy against the size of the ball."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..leaderboard import ENTRY
from ..words import eps_text
from .canvas import WORST, grid, key, per_cent
from .source import GROUND, Nothing, Share, Source, groups, mean, sample_words, told, where

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
    panels = list(groups(rows, (*GROUND, *ENTRY)))
    common, own = told([words for words, _ in panels])
    figure, axes = grid(
        f"Accuracy against eps, by attack\n{common} · {sample_words(rows)}, band: 95 % interval of the worst case",
        own,
        sharey=True,
    )
    for axis, (words, group) in zip(axes, panels, strict=True):
        clean = mean(group, "clean_accuracy")
        assert clean is not None
        for name, attack in group.groupby("charge", sort=False):
            look = source.charges[str(name)]
            measured = _measured(attack, clean)
            axis.plot(*(_continuous(source, attack) or measured), color=look.colour, linestyle=look.line)
            axis.plot(*measured, color=look.colour, marker=look.marker, linestyle="")
        _worst(axis, where(source.results.leaderboard, words), clean)
        _sizes(axis, sorted(group["eps"].unique()))
        per_cent(axis.yaxis)
    charges = {name: look for name, look in source.charges.items() if name in set(rows["charge"])}
    key(figure, charges | {"worst case, sample by sample": WORST})
    return figure


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
    axis.plot(eps, middle, color=WORST.colour, marker=WORST.marker, markersize=3.5, zorder=3)
    axis.fill_between(eps, low, high, color=WORST.colour, alpha=0.12, linewidth=0)


def _sizes(axis: Axes, eps: list[Any]) -> None:
    axis.set_xlabel("eps")
    axis.set_xlim(0, 1.04 * eps[-1])
    if len(eps) <= TICKS:
        axis.set_xticks([0.0, *eps], ["0", *map(eps_text, eps)])
