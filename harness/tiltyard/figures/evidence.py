"""What one attack did to the samples of one entry, and the images that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..contracts import Norm, pixels
from ..results import CellFolder, Images, Results
from .source import Nothing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evidence:
    """A cell: its records at the largest eps, and the files of the images that broke the victim."""

    cell: str
    norm: Norm
    records: pd.DataFrame
    files: Sequence[Path]

    @property
    def broken(self) -> set[int]:
        """The samples that left their class and whose image is here."""
        return set(self.records.loc[self.records["left_class"], "sample"].tolist()) if self.files else set()

    def fate(self, sample: int) -> str:
        """What became of a sample that was not broken."""
        mine = self.records[self.records["sample"] == sample]
        if mine.empty:
            return "not tried"
        return "held" if mine["correct"].iloc[0] else "wrong before"

    def image(self, sample: int) -> tuple[Tensor, int]:
        """The image (C, H, W) that broke a sample, and the class it was taken for."""
        mine = self.records[(self.records["sample"] == sample) & self.records["left_class"]]
        row = mine.iloc[0]
        target = -1 if mine["target"].isna().iloc[0] else int(row["target"])
        for path in self.files:
            kept = Images.read(path)
            here = (kept.sample == sample) & (kept.target == target) & (kept.eps >= row["eps"])
            if bool(here.any()):
                return pixels(kept[here].pixels[0]), int(row["prediction"])
        raise Nothing(f"cells/{self.cell} has no image of sample {sample}, which it says was broken")


def evidence(results: Results, cell: pd.DataFrame) -> Evidence | None:
    """What the cell of these rows of ``results.csv`` found; None where there is no row."""
    if cell.empty:
        return None
    first: Any = cell.iloc[0]
    folder = CellFolder(results.folder / "cells" / first["cell"])
    records = folder.samples()
    return Evidence(first["cell"], first["norm"], records[records["eps"] == records["eps"].max()], folder.images())
