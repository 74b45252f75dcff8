"""The tables of a bundle held against those that its records give."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..contracts import LabelScheme
from ..geometry import found_geometry, kept_geometry
from ..problems import UserError
from ..results import Store, load
from ..spec import Plan, Victim
from ..tabulate import tables
from .report import Report

if TYPE_CHECKING:
    import pandas as pd

LIBRARIES = 1e-6
"""Relative difference that another version of a numerical library explains."""


def check_tables(plan: Plan, store: Store, report: Report) -> None:
    """Compute every table anew and tell each column that the bundle has otherwise; keep the leaderboard."""
    try:
        made = tables(plan, store)
    except Exception as error:  # noqa: BLE001 - a stranger's records: whatever is wrong in them is a finding
        report.find("tables", f"can not be computed from the records: {type(error).__name__}: {error}")
        return
    report.board = made["leaderboard"]
    packed = load(store.folder)
    for name, table in made.items():
        try:
            _compare(f"{name}.csv", table, packed.csv(name), report)
        except (UserError, OSError, ValueError, KeyError, TypeError) as error:
            report.find(f"{name}.csv", f"can not be read: {error}")
    _compare("results.parquet", made["results"], packed.table, report)


def check_geometry(victim: Victim, scheme: LabelScheme, store: Store, report: Report) -> None:
    """Compute the geometry of a victim's codebook anew; older bundles have none."""
    kept, found = kept_geometry(store, victim.id), found_geometry(scheme)
    names = [name for name, value in kept.items() if not _close(value, found.get(name.removeprefix("code_")))]
    if names:
        report.find(f"victim {victim.id}", f"its codes have another geometry than recorded: {', '.join(names)}")


def _close(value: object, other: float | None) -> bool:
    return isinstance(value, int | float) and other is not None and math.isclose(value, other, rel_tol=LIBRARIES)


def _compare(where: str, here: pd.DataFrame, packed: pd.DataFrame, report: Report) -> None:
    if len(here) != len(packed):
        report.find(where, f"has {len(packed)} rows; the records give {len(here)}")
        return
    if columns := sorted(map(str, set(here) ^ set(packed))):
        report.find(where, f"has other columns than its records give: {', '.join(columns)}")
    for column in (name for name in here if name in packed):
        rows = _different(here[column], packed[column])
        if len(rows):
            theirs, ours = packed[column].iloc[rows[0]], here[column].iloc[rows[0]]
            more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
            report.find(where, f"{column} of row {rows[0] + 1}{more} is {theirs}; the records give {ours}")


def _different(here: pd.Series, packed: pd.Series) -> list[int]:
    """The rows in which two columns differ."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_numeric_dtype(here) and pd.api.types.is_numeric_dtype(packed):
        ours, theirs = (column.astype("Float64").to_numpy("float64", na_value=np.nan) for column in (here, packed))
        same = np.isclose(ours, theirs, rtol=LIBRARIES, atol=1e-12, equal_nan=True)
    else:
        same = (here.astype("string").fillna("") == packed.astype("string").fillna("")).to_numpy(bool)
    return [int(row) for row in np.flatnonzero(~same)]
