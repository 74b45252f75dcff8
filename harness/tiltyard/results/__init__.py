"""Results as tidy tables: ``tiltyard.results.load("results/quickstart")``."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..problems import UserError, suggest
from .checking import QUARANTINE, Damage, damages
from .codebook import CODEBOOK
from .column import Column, frame, read_csv, typed
from .comparing import ATTACKS, COMPARISON, CURVES, LEADERBOARD, PAIRS, PUBLISHED, SEEDS, WORST
from .files import DamagedError, read_checked, read_json, sha256, write, write_json, write_named
from .images import Images
from .schema import DETECTION, EPOCHS, MASKING, RESULTS, SAMPLES, SCHEMA, STATUSES, TABLES, VERDICTS
from .store import CellFolder, Store, alone, check_schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ATTACKS",
    "CODEBOOK",
    "COMPARISON",
    "CURVES",
    "DETECTION",
    "EPOCHS",
    "LEADERBOARD",
    "MASKING",
    "PAIRS",
    "PUBLISHED",
    "QUARANTINE",
    "RESULTS",
    "SAMPLES",
    "SCHEMA",
    "SEEDS",
    "STATUSES",
    "TABLES",
    "VERDICTS",
    "WORST",
    "CellFolder",
    "Column",
    "Damage",
    "DamagedError",
    "Images",
    "Results",
    "Store",
    "alone",
    "damages",
    "frame",
    "load",
    "read_checked",
    "read_json",
    "sha256",
    "write",
    "write_json",
    "write_named",
]


@dataclass(frozen=True)
class Results:
    """The tables of one results folder; ``docs/results.md`` tells their columns."""

    folder: Path
    _csv: dict[str, pd.DataFrame] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """``results.parquet``: one row per cell and eps."""
        import pandas as pd

        return typed(pd.read_parquet(self.folder / "results.parquet"), RESULTS)

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """``leaderboard.csv``: one row per data set, norm, eps and entry."""
        return self.csv("leaderboard")

    def csv(self, name: str) -> pd.DataFrame:
        """One of the tables of ``results.TABLES``, read from its CSV file."""
        if name not in TABLES:
            raise UserError(f'there is no table "{name}"{suggest(name, TABLES)}')
        if name not in self._csv and not (self.folder / f"{name}.csv").exists():
            raise UserError(f"{self.folder}: there is no {name}.csv; `bench run` writes the tables anew")
        if name not in self._csv:
            self._csv[name] = read_csv(self.folder / f"{name}.csv", TABLES[name])
        return self._csv[name]

    @cached_property
    def samples(self) -> pd.DataFrame:
        """All cells' records in one table, with the cell's id in front."""
        import pandas as pd

        done = [cell for cell in self.table["cell"].unique() if (self.folder / "cells" / cell).exists()]
        parts = {cell: CellFolder(self.folder / "cells" / cell).samples() for cell in done}
        if not parts:
            return frame((Column("cell", "string", ""), *SAMPLES), [])
        joined: pd.DataFrame = pd.concat(parts, names=["cell"]).reset_index("cell").reset_index(drop=True)
        return joined

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """The epochs of every undefended network of the tables that was fitted: its convergence curves."""
        columns = ["fit", "dataset", "model", "labels", "seed", "fraction"]
        rows: list[dict[str, Any]] = []
        networks = self.table.reindex(columns=columns).dropna(subset=["fit"]).drop_duplicates("fit")
        for network in networks.to_dict("records"):
            fit = read_json(self.folder / "fits" / network["fit"] / "fit.json") or {"epochs": []}
            rows += [network | {"held_out": fit.get("held_out")} | epoch for epoch in fit["epochs"]]
        return frame(EPOCHS, rows)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """``provenance.json``: versions, device, plugins, data digests and the configuration."""
        return read_json(self.folder / "provenance.json") or {}


def load(folder: str | Path) -> Results:
    """The tables of a results folder; raises ``UserError`` where there is none."""
    folder = Path(folder)
    if not (folder / "results.parquet").exists():
        raise UserError(f"{folder}: there is no results.parquet; `bench run` writes it")
    check_schema(folder)
    return Results(folder)
