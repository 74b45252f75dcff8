"""Detectors as a table for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table

from .show import ball_text, listing, percent, plain_text, with_interval

if TYPE_CHECKING:
    import pandas as pd

RATES = ("own", "5", "1")
"""The thresholds, by their names in columns, as they are shown."""

NOTE = (
    "Detectors: rejected shares of the adversarial images that are wrong (tpr) and of the clean ones that are right "
    "(fpr), at the detector's own threshold and at those that 5 % and 1 % of held-out clean images exceed. Adaptive "
    "attackers aim just below its own: what counts is robust."
)


def detection_tables(rows: pd.DataFrame, wide: bool = False) -> Iterator[Table | str]:
    """``results.DETECTION`` in short, a table per detector; nothing where no victim rejects."""
    for words, part in rows.groupby(["dataset", "model", "labels", "defence"], sort=True):
        yield _table(f"{' · '.join(map(str, words))}: detection in %", part, wide)
    if len(rows):
        yield NOTE


def _table(title: str, rows: pd.DataFrame, wide: bool) -> Table:
    seeds = rows["seed"].nunique() > 1
    points = ("tpr", "fpr", *(f"{rate} {name} %" for name in RATES[1:] for rate in ("tpr", "fpr")))
    numbers = ("wrong", "clean", "auroc", "aupr", *points, "robust")
    named = ("attack", "ball", *(["seed"] if seeds else []))
    table = listing(plain_text(title), (*named, *numbers), numbers)
    for row in rows.to_dict("records"):
        words = [_attack(row), ball_text(row["norm"], row["eps"], row["units"])]
        words += [row["seed"]] if seeds else []
        rates = [_share(row, f"{rate}_{name}", wide) for name in RATES for rate in ("tpr", "fpr")]
        counts = [str(row["wrong"]), str(row["clean"])]
        shares = [_share(row, "auroc", wide), percent(row["aupr"]), *rates, _robust(row, wide)]
        table.add_row(*map(plain_text, words), *counts, *shares)
    return table


def _attack(row: dict[Any, Any]) -> str:
    aim = f", {row['targets']} targets" if row["goal"] == "targeted" else ""
    return f"{row['attack']}{aim}" + (f", {row['knowledge']}" if row["knowledge"] != "adaptive" else "")


def _share(row: dict[Any, Any], name: str, wide: bool) -> str:
    value = row[name]
    known = wide and value == value  # noqa: PLR0124 - not a number
    return with_interval(value, row[f"{name}_low"], row[f"{name}_high"]) if known else percent(value)


def _robust(row: dict[Any, Any], wide: bool) -> str:
    return _share(row | {"robust": row["robust_accuracy"]}, "robust", wide)
