"""Our numbers beside published ones: a table, and no test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..problems import UserError
from ..results import PUBLISHED, RESULTS, Results, frame
from ..statistics import over_seeds

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("network", "labels", "attack")
KEYS = (*NAMES, "goal", "units", "eps", "fraction", "epoch")
"""What a published number may tell of where it was measured; an empty field tells nothing."""
TEXTS = ("quantity", *NAMES, "goal", "units", "source", "fault")
REQUIRED = ("quantity", "network", "labels", "value")
QUANTITIES = ("robust accuracy", "clean accuracy", "best validation accuracy", "validation accuracy")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Published:
    """The rows that both have (``results.PUBLISHED``), and how many only the file or only the results have."""

    rows: pd.DataFrame
    only_published: int
    only_ours: int

    @property
    def inside(self) -> int:
        """How many published values lie inside our intervals."""
        return int(self.rows["inside"].sum())


def published(results: Results, path: Path) -> Published:
    """The undefended networks of ``results`` beside the numbers of the CSV file ``path``.

    Rows are the same where network, labels, attack, goal, units, eps, fraction and epoch are; a name is matched by
    what follows the plugin's dot as well. Seeds are taken together. Raises ``UserError`` for a file that holds
    something else, or shares no row with the results.
    """
    theirs, ours = read_published(path), list(_ours(results))
    found = [(row, mine) for row in theirs for mine in ours if _same(row, mine)]
    if not found:
        raise UserError(
            f"{results.folder} and {path} share no row: {_apart(theirs, ours)}; "
            "a name = ... in the benchmark file makes an entry go by the published name"
        )
    matched = {id(row) for row, _ in found}, {id(mine) for _, mine in found}
    rows = frame(PUBLISHED, [_beside(row, mine) for row, mine in found])
    return Published(rows, len(theirs) - len(matched[0]), len(ours) - len(matched[1]))


def read_published(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of published numbers; raises ``UserError``."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, "string"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a CSV file: {error}") from error
    if lacking := [name for name in REQUIRED if name not in table]:
        raise UserError(
            f"{path}: there is no column {', '.join(lacking)}; published numbers need {', '.join(REQUIRED)}"
        )
    for name in ("value", "eps", "fraction", "epoch"):
        if name in table and not pd.api.types.is_numeric_dtype(table[name]):
            raise UserError(f'{path}: the column "{name}" holds something else than numbers')
    if unknown := set(table["quantity"].dropna()) - set(QUANTITIES):
        raise UserError(f"{path}: unknown quantity {', '.join(sorted(unknown))}; choose of {', '.join(QUANTITIES)}")
    if not table["value"].between(0, 1).all():
        raise UserError(f"{path}: a value is no share between 0 and 1")
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _ours(results: Results) -> Iterator[Row]:
    """What the results say of undefended networks, a row per quantity and place, seeds taken together."""
    # Older folders lack columns.
    table = results.table.reindex(columns=[column.name for column in RESULTS])
    table = table[(table["status"] == "done") & table["defence"].map(_short).eq("none")]
    claimed = table["claimed_accuracy"].fillna(table["robust_accuracy"])
    table = table.assign(network=table["model"], claimed=claimed)
    robust = table[table["claimed"].notna() & table["knowledge"].eq("adaptive")]
    yield from _grouped(robust, "robust accuracy", ("network", "labels", "attack", "goal", "units", "eps", "fraction"))
    clean = table.drop_duplicates("victim").assign(claimed=lambda rows: rows["clean_accuracy"])
    yield from _grouped(clean, "clean accuracy", ("network", "labels", "fraction"))
    epochs = results.epochs[lambda rows: rows["fit"].isin(table["fit"]) & rows["held_out"].notna()]
    epochs = epochs.assign(network=epochs["model"], samples=epochs["held_out"])
    best = epochs.loc[epochs.groupby("fit")["validation_accuracy"].idxmax()] if len(epochs) else epochs
    for rows, quantity, keys in (
        (best, "best validation accuracy", ("network", "labels", "fraction")),
        (epochs, "validation accuracy", ("network", "labels", "fraction", "epoch")),
    ):
        yield from _grouped(rows.assign(claimed=rows["validation_accuracy"]), quantity, keys)


def _grouped(rows: pd.DataFrame, quantity: str, keys: tuple[str, ...]) -> Iterator[Row]:
    """The mean over seeds for each combination of ``keys``, with its interval."""
    import pandas as pd

    # Neither data sets nor ways to choose targets are averaged over, though the file tells of neither.
    apart = [*keys, *(name for name in ("dataset", "targets") if name in rows)]
    for place, group in rows.groupby(apart, dropna=False):
        shares = [float(share) for share in group["claimed"]]
        samples = int(group["samples"].iloc[0])
        low, high = over_seeds(shares, samples)
        value = sum(shares) / len(shares)
        known = pd.Series(dict(zip(apart, place, strict=True)), dtype=object).dropna()
        numbers = {"ours": value, "low": low, "high": high, "samples": samples, "seeds": len(shares)}
        yield {"quantity": quantity} | {str(key): part for key, part in known.items()} | numbers


def _same(row: Row, mine: Row) -> bool:
    return row["quantity"] == mine["quantity"] and all(_agree(key, row.get(key), mine.get(key)) for key in KEYS)


def _agree(key: str, theirs: Any, ours: Any) -> bool:
    """Whether a field of the file is what we have; one of the two that says nothing agrees with all."""
    if theirs is None or ours is None:
        return True
    if key in NAMES:
        return theirs in (ours, _short(ours))
    return math.isclose(theirs, ours, rel_tol=1e-6) if isinstance(theirs, (int, float)) else bool(theirs == ours)


def _short(name: str) -> str:
    """A component's name without its plugin. ``labels.speech (synthesised)`` is not ``speech`` and matches nothing."""
    return name.partition(".")[2]


def _beside(row: Row, mine: Row) -> dict[str, Any]:
    told = {column.name: row[column.name] for column in PUBLISHED if row.get(column.name) is not None}
    numbers = {name: mine[name] for name in ("ours", "low", "high", "samples", "seeds")}
    compared = {"published": row["value"], "difference": mine["ours"] - row["value"]}
    inside = mine["low"] <= row["value"] <= mine["high"]
    return {key: mine.get(key) for key in KEYS} | told | numbers | compared | {"inside": inside}


def _apart(theirs: Iterable[Row], ours: Iterable[Row]) -> str:
    """What keeps the two apart: the fields in which they have nothing in common."""
    theirs, ours = list(theirs), list(ours)
    differ = [
        key
        for key in ("quantity", *KEYS)
        if not any(_agree(key, one, other) for one in _values(theirs, key) for other in _values(ours, key))
    ]
    return f"they differ in {', '.join(differ)}" if differ else "no combination of these is in both"


def _values(rows: Iterable[Row], key: str) -> set[Any]:
    return {row.get(key) for row in rows}
