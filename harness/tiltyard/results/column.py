"""A column of a table, and a DataFrame made of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inert import csv_text, from_csv

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


def to_csv(table: pd.DataFrame) -> bytes:
    """A table as the content of a CSV file in which no text is a formula."""
    return _each_text(table, csv_text).to_csv(index=False).encode()


def read_csv(path: Path, columns: Sequence[Column]) -> pd.DataFrame:
    """The table of a CSV file, with the types of these columns."""
    import pandas as pd

    return _each_text(typed(pd.read_csv(path), columns), from_csv)


def typed(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """A table that was read, with the types of these columns."""
    if "units" not in table and any(column.name == "units" for column in columns):
        table = table.assign(units="pixels")  # older tables know no other
    return table.astype({column.name: column.dtype for column in columns if column.name in table})


def _each_text(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    import pandas as pd

    texts = {name: column for name, column in table.items() if pd.api.types.is_string_dtype(column)}
    return table.assign(
        **{
            str(name): column.map(lambda text: change(text) if isinstance(text, str) else text).astype(column.dtype)
            for name, column in texts.items()
        }
    )
