"""``bench table``: robust accuracy by label scheme, defence and attack, or any other table of a results folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tiltyard.health import sound
from tiltyard.results import STATUSES, TABLES
from tiltyard.statistics import over_seeds

from .show import ball_text, eps_text, legend, listing, missing, percent, plain_text, with_interval

if TYPE_CHECKING:
    import pandas as pd

    from tiltyard.results import Column

ROWS = 200
"""Rows of a table that are shown; its file has them all."""


def accuracy_tables(rows: pd.DataFrame, wide: bool = False) -> Iterator[Table | str]:
    """One table per data set, model and ball: robust accuracy by label scheme and defence, a column per attack."""
    done = rows[rows["status"] == "done"]
    for (dataset, model, norm, units, eps), ball in done.groupby(["dataset", "model", "norm", "units", "eps"]):
        title = f"{dataset} · {model} · {ball_text(str(norm), float(str(eps)), str(units))}: accuracy in %"
        yield from _accuracy_table(title, ball, wide)
    lacking = done[done["reason"].notna()].drop_duplicates(["cell", "reason"])
    for (attack, norm, reason), number in Counter(_columns(lacking, "attack", "norm", "reason")).items():
        yield f"{plain_text(attack)} · {norm}, {number} cells: {plain_text(reason)}"
    rest = rows[rows["status"] != "done"]
    for status, several in rest.groupby("status"):
        cells = several.drop_duplicates("cell")
        yield f"{len(cells)} cells {status}:"
        for reason, number in Counter(cells["reason"].fillna("")).most_common():
            yield f"  {number} x {reason}"


def _columns(rows: pd.DataFrame, *names: str) -> Iterator[tuple[str, ...]]:
    """Some columns, row by row."""
    return zip(*(rows[name] for name in names), strict=True)


def _accuracy_table(title: str, ball: pd.DataFrame, wide: bool) -> Iterator[Table | str]:
    ball = ball.assign(column=ball["attack"] + ball.apply(_variant, axis=1))
    columns = list(dict.fromkeys(ball["column"]))
    entries = list(dict.fromkeys(zip(ball["labels"], ball["defence"], strict=True)))
    lines = [_accuracies(ball[(ball["labels"] == one) & (ball["defence"] == two)], columns) for one, two in entries]
    best = [_best([line[place][0] for line in lines]) for place in range(len(columns) + 1)]
    table = listing(title, ("labels", "defence", "clean", *columns), ("clean", *columns))
    for (labels, defence), line in zip(entries, lines, strict=True):
        shown = [_accuracy(*cell, top, wide) for cell, top in zip(line, best, strict=True)]
        table.add_row(plain_text(labels), plain_text(defence), *shown)
    yield table
    arms = [max(value - low, high - value) for line in lines for value, (low, high), _ in line if math.isfinite(value)]
    if arms and not wide:
        yield f"95 % intervals reach at most {percent(max(arms))} points to a side; --wide shows them."
    yield from legend({mark for line in lines for *_, marks in line for mark in marks})


Cell = tuple[float, tuple[float, float], str]
"""A share, its interval, and its marks."""


def _accuracies(own: pd.DataFrame, columns: Sequence[str]) -> list[Cell]:
    """The clean accuracy of an entry and its robust accuracy under each attack, over all seeds."""
    victims = own.drop_duplicates("seed")
    cells = [(*_over_seeds(victims["clean_accuracy"], victims["samples"]), "")]
    for column in columns:
        rows = own[own["column"] == column]
        unhealthy = not all(sound(badge) for badge in rows["health"].dropna())
        marks = ("u" if unhealthy else "") + ("f" if rows["flags"].notna().any() else "")
        cells.append((*_over_seeds(rows["robust_accuracy"], rows["samples"]), marks))
    return cells


def _over_seeds(shares: pd.Series[float], samples: pd.Series[int]) -> tuple[float, tuple[float, float]]:
    if not len(shares) or shares.isna().any():
        return math.nan, (math.nan, math.nan)
    return float(shares.mean()), over_seeds(shares.tolist(), int(samples.max()))


def _accuracy(value: float, interval: tuple[float, float], marks: str, best: float, wide: bool) -> str:
    text = with_interval(value, *interval) if wide and math.isfinite(value) else percent(value)
    text += f" {marks}" if marks else ""
    return f"[bold]{text}*[/bold]" if value == best else text


def _best(column: Sequence[float]) -> float:
    """The highest of several shares, or nothing where there is no contest."""
    known = [value for value in column if math.isfinite(value)]
    return max(known) if len(known) > 1 else math.nan


def _variant(row: Any) -> str:
    """What tells two columns of one attack apart: targets and knowledge."""
    aim = f"\n{row['targets']} targets" if row["goal"] == "targeted" else ""
    return aim + (f"\n{row['knowledge']}" if row["knowledge"] != "adaptive" else "")


def whole_table(name: str, rows: pd.DataFrame, wide: bool = False) -> Iterator[Table | str]:
    """Any table of ``results.TABLES``; without ``wide``, columns that say the same in every row go into the title."""
    columns = [column for column in TABLES[name] if column.name in rows and (wide or not _machinery(column))]
    same = [column for column in columns if not wide and len(rows) > 1 and rows[column.name].nunique(dropna=False) == 1]
    told = [_text(column, rows[column.name].iloc[0]) for column in same]
    title = " · ".join([name, *(f"{c.name} {text}" for c, text in zip(same, told, strict=True) if text != "-")])
    columns = [column for column in columns if column not in same]
    numbers = [_heading(column) for column in columns if column.dtype.lower() in ("int64", "float64")]
    table = listing(plain_text(title), map(_heading, columns), numbers)
    for row in rows.head(ROWS).to_dict("records"):
        table.add_row(*(plain_text(_text(column, row[column.name])) for column in columns))
    yield table
    if len(rows) > ROWS:
        yield f"{len(rows) - ROWS} more rows are in {name}.csv."


def _machinery(column: Column) -> bool:
    """Whether a column is for machines: ids, plugins, and status words, which the robust accuracy sums up."""
    return column.name in {"cell", "victim", *STATUSES} or column.name.endswith("_plugin")


def _heading(column: Column) -> str:
    share = " %" if column.unit == "0..1" else ""
    return column.name.replace("_", " ") + share


def _text(column: Column, value: Any) -> str:
    if missing(value):
        return "-"
    if column.unit == "0..1":
        return percent(value)
    if column.name == "eps":
        return eps_text(value)
    if column.dtype == "float64":
        return f"{value:.3g}"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
