"""``bench board``: the leaderboard, ranks as intervals, with what stands behind each number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tiltyard.results import Results

from .show import ball_text, legend, listing, missing, percent, plain_text, with_interval

if TYPE_CHECKING:
    import pandas as pd

ENTRY = ("model", "labels", "defence")
MORE = {
    "worst seed %": "robust_worst_seed",
    "oblivious %": "oblivious_accuracy",
    "transfer %": "transfer_accuracy",
    "adaptive %": "adaptive_accuracy",
}
"""Shares that are shown where there is room."""


def board_tables(results: Results, wide: bool = False) -> Iterator[Table | str]:
    """A table per ball, then what the marks mean and which entries are missing."""
    yield from ball_tables(results.leaderboard, wide)
    unlisted = not_listed(results)
    if unlisted:
        yield "Not listed, for want of an attack that passed its health checks and has a verdict on each sample:"
        yield from (f"  {words}" for words in unlisted)


def ball_tables(board: pd.DataFrame, wide: bool = False) -> Iterator[Table | str]:
    """A leaderboard as a table per ball, and what its marks mean."""
    for (dataset, norm, units, eps), ball in board.groupby(["dataset", "norm", "units", "eps"], sort=True):
        same = [name for name in ENTRY if not wide and ball[name].nunique() == 1]
        names = " · ".join(
            [str(dataset), ball_text(str(norm), float(str(eps)), str(units)), *(ball[name].iloc[0] for name in same)]
        )
        yield _ball(f"{names}: worst case over attacks", ball, [name for name in ENTRY if name not in same], wide)
    yield from legend(mark for row in board.to_dict("records") for mark in _marks(row))


def not_listed(results: Results) -> list[str]:
    """The entries, in words, that were attacked and are missing from the leaderboard."""
    keys = ["dataset", "norm", "units", "eps", *ENTRY]
    attacked = results.table[results.table["status"].isin(["done", "failed"])]
    tried, listed = (
        [tuple(row.values()) for row in table[keys].to_dict("records")] for table in (attacked, results.leaderboard)
    )
    rows = [row for row in dict.fromkeys(tried) if row not in listed]
    return [" · ".join((row[0], ball_text(row[1], row[3], row[2]), *row[4:])) for row in rows]


def _ball(title: str, ball: pd.DataFrame, names: list[str], wide: bool) -> Table:
    """Entries in their order; a line parts those whose order is sure."""
    rows = ball.to_dict("records")
    shown = [_cells(row, names, wide) for row in rows]
    filled = [name for name in shown[0] if wide or any(line[name] not in ("", "-") for line in shown)]
    numbers = [name for name in filled if "%" in name or name in ("rank", "gap", "attacks", "seeds", "samples")]
    table = listing(plain_text(title), filled, numbers)
    for place, (row, line) in enumerate(zip(rows, shown, strict=True)):
        if place and max(above["rank_high"] for above in rows[:place]) < row["rank_low"]:
            table.add_section()
        table.add_row(*(plain_text(line[name]) for name in filled))
    return table


def _cells(row: Mapping[Any, Any], names: list[str], wide: bool) -> dict[str, str]:
    """The row of one entry: its columns by their headings."""
    flags, winner = ("-" if missing(row[name]) else row[name] for name in ("flags", "winning_attack"))
    cells = {
        "rank": rank_text(row["rank_low"], row["rank_high"]),
        **{name: row[name] for name in names},
        "robust % (95 %)": with_interval(row["robust_accuracy"], row["robust_low"], row["robust_high"]),
        "": "".join(_marks(row)),
        "clean %": percent(row["clean_accuracy"]),
        **({heading: percent(row[name]) for heading, name in MORE.items()} if wide else {}),
        "gap": f"{100 * row['gap']:+z.1f}" if math.isfinite(row["gap"]) else "-",
        "worst attack": winner,
        "attacks": str(row["attacks"]),
    }
    return cells | ({"seeds": str(row["seeds"]), "samples": str(row["samples"]), "flags": flags} if wide else {})


def rank_text(low: int, high: int) -> str:
    """``2``, or ``2–4`` for a tie: the places that the entry may have."""
    return str(low) if low == high else f"{low}–{high}"


def _marks(row: Mapping[Any, Any]) -> Iterator[str]:
    """The letters of ``MARKS`` that an entry has earned."""
    if row["incomplete"]:
        yield "i"
    if row["unhealthy"]:
        yield "u"
    if not missing(row["flags"]):
        yield "f"
