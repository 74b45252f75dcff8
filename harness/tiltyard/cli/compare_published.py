"""``bench compare FOLDER FILE.csv``: a results folder beside published numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiltyard.leaderboard import Published, published
from tiltyard.problems import UserError
from tiltyard.results import load

from .options import print_json
from .show import console, eps_text, listing, missing, percent, plain_text, with_interval

if TYPE_CHECKING:
    from rich.table import Table


def beside_published(folder: Path, path: Path, fail_if: str | None, everything: bool, as_json: bool) -> int:
    """Print the results of ``folder`` beside the numbers of the CSV file; those that are known faulty with ``--all``.

    Raises ``UserError``.
    """
    if fail_if is not None:
        raise UserError(f"--fail-if {fail_if}: a gate stands between two results folders, and {path} is none")
    found = published(load(folder), path)
    if as_json:
        rows = json.loads(found.rows.to_json(orient="records"))
        counts = {"inside": found.inside, "only_published": found.only_published, "only_ours": found.only_ours}
        print_json("published", {"a": str(folder), "b": str(path), "rows": rows} | counts)
    else:
        console().print(*_shown(found, everything), sep="\n")
    return 0


def _shown(found: Published, everything: bool) -> Iterator[Table | str]:
    rows = found.rows if everything else found.rows[found.rows["fault"].isna()]
    yield _table(rows.to_dict("records"))
    if hidden := len(found.rows) - len(rows):
        yield f"{hidden} published numbers that are known to be faulty are left out; --all shows them."
    yield (
        f"{len(found.rows)} rows in both, {found.inside} published numbers inside our interval; "
        f"{found.only_published} rows only published, {found.only_ours} only ours. This is a table and no test."
    )


def _table(rows: Iterable[Mapping[Any, Any]]) -> Table:
    columns = ("row", "published %", "ours % (95 %)", "n", "seeds", "ours - published", "inside")
    table = listing("Ours beside published numbers", columns, columns[1:-1])
    for row in rows:
        ours = with_interval(row["ours"], row["low"], row["high"])
        numbers = (percent(row["published"]), ours, str(row["samples"]), str(row["seeds"]))
        verdict = ("yes" if row["inside"] else "no") + ("" if missing(row["fault"]) else f" ({row['fault']})")
        table.add_row(plain_text(_words(row)), *numbers, f"{100 * row['difference']:+z.1f}", plain_text(verdict))
    return table


def _words(row: Mapping[Any, Any]) -> str:
    """What a row is, in a line."""
    parts = [row[name] for name in ("quantity", "network", "labels", "attack", "goal") if not missing(row[name])]
    if not missing(row["eps"]):
        parts.append(f"eps {eps_text(row['eps'])}{'' if missing(row['units']) else ' ' + row['units']}")
    if not missing(row["fraction"]) and row["fraction"] != 1:
        parts.append(f"{percent(row['fraction'])} % of the data")
    return " · ".join([*parts, *([] if missing(row["epoch"]) else [f"epoch {row['epoch']}"])])
