"""A column of a table, and a DataFrame made of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column: its pandas dtype, its unit where it has one, and what it means."""

    name: str
    dtype: str
    meaning: str
    unit: str = ""


def frame(columns: Sequence[Column], rows: pd.DataFrame | Iterable[Any]) -> pd.DataFrame:
    """A DataFrame of exactly these columns and dtypes, from mappings or a DataFrame; a missing key is null."""
    import pandas as pd

    names = [column.name for column in columns]
    table = rows.reindex(columns=names) if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), columns=names)
    return table.astype({column.name: column.dtype for column in columns})
