"""Records of many cells to the tables that compare: the worst case per sample, never an average over attacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .board import leaderboard, seeds
from .cells import BALL, ENTRY, CellRecords, Charge
from .curves import curves
from .entry import Entry, entries
from .ledger import ledger
from .pairs import pairs
from .published import Published, published, read_published
from .versus import Versus, versus
from .worst import worst

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BALL",
    "ENTRY",
    "CellRecords",
    "Charge",
    "Entry",
    "Published",
    "Versus",
    "comparisons",
    "curves",
    "entries",
    "leaderboard",
    "ledger",
    "pairs",
    "published",
    "read_published",
    "seeds",
    "versus",
    "worst",
]


def comparisons(cells: Iterable[CellRecords]) -> dict[str, pd.DataFrame]:
    """The tables of ``results.TABLES`` that compare cells with each other."""
    cells = list(cells)
    found = entries(cells)
    return {
        "leaderboard": leaderboard(found),
        "seeds": seeds(found),
        "attacks": ledger(found),
        "pairs": pairs(found),
        "curves": curves(cells),
        "worst": worst(found),
    }
