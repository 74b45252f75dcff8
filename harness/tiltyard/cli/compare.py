"""``bench compare``: two results folders, row by row, on the same samples, or one beside published numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from .commands import bench
from .options import JSON, PATH, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from tiltyard.leaderboard import Versus

FAILS = {"worse": ("worse", "lost"), "different": ("worse", "lost", "better", "gained")}
"""The verdicts that each kind of gate does not let pass."""
SHOWN = 10
"""Rows of one folder alone that are named without --all."""


@bench.command(epilog="Exit codes: 0 fine; 1 the gate of --fail-if is shut; 2 wrong usage or input.")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--fail-if", type=click.Choice(list(FAILS)), help="Exit with 1 if B is worse than A, or different.")
@click.option("--all", "everything", is_flag=True, help="Show equal rows, and every row of one folder alone.")
@JSON
def compare(a: Path, b: Path, fail_if: str | None, everything: bool, as_json: bool) -> int:
    """Compare the results folder B with A on the samples they share: paired exact tests, corrected over all rows.

    Where B is a CSV file of published numbers, A is set beside them: a table, and no test.
    """
    from tiltyard.leaderboard import versus
    from tiltyard.results import load

    from .show import console

    if b.suffix == ".csv":
        from .compare_published import beside_published

        return beside_published(a, b, fail_if, everything, as_json)

    found = versus(load(a), load(b))
    shut = fail_if is not None and any(found.counts[verdict] for verdict in FAILS[fail_if])
    if as_json:
        rows = json.loads(found.rows.to_json(orient="records"))
        content = {"a": str(a), "b": str(b), "counts": found.counts, "rows": rows}
        content |= {"only_a": found.only_a, "only_b": found.only_b, "failed": shut}
        print_json("compare", content)
    else:
        console().print(*_shown(found, everything), sep="\n")
    return int(shut)


def _shown(found: Versus, everything: bool) -> Iterator[Table | str]:
    rows = found.rows if everything else found.rows[found.rows["verdict"] != "same"]
    if len(rows):
        yield _table(rows.to_dict("records"))
    for folder, alone in (("A", found.only_a), ("B", found.only_b)):
        if alone:
            shown = alone if everything else alone[:SHOWN]
            yield f"{len(alone)} rows are only in {folder}:"
            yield from (f"  {_words(row)}" for row in shown)
            yield from ["  ..."] * (len(shown) < len(alone))
    counts = ", ".join(f"{number} {verdict}" for verdict, number in found.counts.items() if number)
    yield f"{len(found.rows)} rows compared: {counts}."


def _table(rows: Iterable[Mapping[Any, Any]]) -> Table:
    from .show import listing, missing, percent, plain_text

    columns = ("row", "A %", "B %", "B - A (95 %)", "p", "verdict")
    table = listing("B against A, on the same samples", columns, columns[1:-1])
    for row in rows:
        shares = (percent(row["accuracy_a"]), percent(row["accuracy_b"]))
        p = "-" if missing(row["p_adjusted"]) else f"{row['p_adjusted']:.2g}"
        table.add_row(plain_text(_words(row)), *shares, _difference(row), p, row["verdict"])
    return table


def _words(row: Mapping[Any, Any]) -> str:
    """What a row is, in a line."""
    from .show import ball_text, missing

    parts = [row[name] for name in ("dataset", "model", "labels", "defence", "attack", "targets", "knowledge")]
    known = [part for part in parts if not missing(part) and part != "adaptive"]
    ball = "clean accuracy" if missing(row["norm"]) else ball_text(row["norm"], row["eps"], row["units"])
    return " · ".join([*known, ball, f"seed {row['seed']}"])


def _difference(row: Mapping[Any, Any]) -> str:
    from .show import missing

    if missing(row["difference"]):
        return "-"
    value, low, high = (f"{100 * row[name]:+z.1f}" for name in ("difference", "difference_low", "difference_high"))
    return f"{value} ({low} to {high})"
