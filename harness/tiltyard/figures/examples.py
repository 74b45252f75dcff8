"""Adversarial images beside what they were made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..contracts import Data, Norm, distance, pixels
from ..results import CellFolder, Images
from ..words import eps_text
from .canvas import FAINT, grid
from .clean import clean_data
from .source import Nothing, Source, entry_words, groups, told

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENTRIES, ATTACKS = 5, 6
"""Entries and attacks that are shown, at most: the first ones."""


@dataclass(frozen=True)
class Broken:
    """One attack on one entry: its cell, and the records of the samples that it broke at the largest eps."""

    cell: str
    norm: Norm
    records: pd.DataFrame
    images: Sequence[Path]

    def image(self, sample: int) -> Tensor:
        """The image (C, H, W) that broke a sample."""
        row = self.records[self.records["sample"] == sample].iloc[0]
        target = -1 if row.isna()["target"] else int(row["target"])
        for path in self.images:
            kept = Images.read(path)
            mine = (kept.sample == sample) & (kept.target == target) & (kept.eps >= row["eps"])
            if bool(mine.any()):
                return pixels(kept[mine].pixels[0])
        raise Nothing(f"cells/{self.cell} has no image of sample {sample}, which it says was broken")


def examples(source: Source) -> Figure:
    """Adversarial images beside their originals, and the magnified differences: a row of attacks for each entry.

    Of each data set one sample is shown: that which most of these attacks broke, the first of several.
    """
    rows = source.done.assign(column=source.done["charge"] + "\n" + source.done["norm"])
    rows = rows[rows["seed"] == rows["seed"].iloc[0]]
    rows = rows.assign(entry=entry_words(rows))
    entries = list(groups(rows, ("dataset", "model", "entry")))[:ENTRIES]
    columns = list(dict.fromkeys(rows["column"]))[:ATTACKS]
    found = [
        {name: one for name in columns if (one := _broken(source, own[own["column"] == name]))} for _, own in entries
    ]
    if not any(found):
        raise Nothing("no image that broke a victim was kept; [benchmark] keep_images = true keeps them")
    data, chosen = clean_data(source), _chosen([words["dataset"] for words, _ in entries], found)
    common, own_words = told([words for words, _ in entries])
    figure, axes = grid(
        f"Adversarial images, and how they differ from the original\n{common} · the largest eps of each attack, seed "
        f"{rows['seed'].iloc[0]} · differences are magnified around grey",
        ["original", *columns] + [""] * (len(entries) * 2 * (1 + len(columns)) - len(columns) - 1),
        columns=1 + len(columns),
        size=(1.45, 1.45),
    )
    for place, ((words, own), cells, name) in enumerate(zip(entries, found, own_words, strict=True)):
        block = axes[2 * place * (1 + len(columns)) :]
        above, below = block[: 1 + len(columns)], block[1 + len(columns) : 2 + 2 * len(columns)]
        for axis in (*above, *below):
            axis.set_axis_off()
        sample = chosen.get(words["dataset"])
        if sample is not None:
            known = data[own["cell"].iloc[0]]
            _clean(above[0], known, sample, name)
            for column, axis, other in zip(columns, above[1:], below[1:], strict=True):
                _attacked(axis, other, cells.get(column), known, sample)
    return figure


def _broken(source: Source, cell: pd.DataFrame) -> Broken | None:
    """What the first of the cells of an entry and attack broke; None where there is none, or no image was kept."""
    if cell.empty:
        return None
    first = cell.iloc[0]
    folder = CellFolder(source.results.folder / "cells" / first["cell"])
    records = folder.samples()
    broken = records[(records["eps"] == records["eps"].max()) & records["left_class"]]
    images = folder.images()
    return Broken(first["cell"], first["norm"], broken, images) if images and len(broken) else None


def _chosen(datasets: Sequence[str], found: Sequence[Mapping[str, Broken]]) -> dict[str, int]:
    """The sample of each data set to show."""
    counts: dict[str, Counter[int]] = {}
    for dataset, cells in zip(datasets, found, strict=True):
        for broken in cells.values():
            counts.setdefault(dataset, Counter()).update(set(broken.records["sample"].tolist()))
    return {dataset: min(count, key=lambda sample: (-count[sample], sample)) for dataset, count in counts.items()}


def _clean(axis: Axes, data: Data, sample: int, entry: str) -> None:
    _picture(axis, _original(data, sample))
    label = data.classes[int(data.test.labels[sample])]
    _below(axis, "\n".join(filter(None, (f"{label} (no. {sample})", entry))))


def _attacked(axis: Axes, below: Axes, broken: Broken | None, data: Data, sample: int) -> None:
    """The adversarial image and, below it, its difference from the original."""
    if broken is None or sample not in set(broken.records["sample"]):
        axis.text(0.5, 0.5, "held", transform=axis.transAxes, ha="center", va="center", color=FAINT)
        return
    row = broken.records[broken.records["sample"] == sample].iloc[0]
    image = broken.image(sample)
    delta = image - _original(data, sample)
    length = float(distance(delta[None].double(), broken.norm)[0])
    factor = 0.5 / float(delta.abs().max())
    _picture(axis, image)
    _below(axis, f"taken for {data.classes[int(row['prediction'])]}")
    _picture(below, 0.5 + factor * delta)
    _below(below, f"{broken.norm} {eps_text(round(length, 4))}, ×{factor:.3g}")


def _original(data: Data, sample: int) -> Tensor:
    return pixels(data.test[torch.tensor([sample])].images)[0]


def _picture(axis: Axes, image: Tensor) -> None:
    """An image (C, H, W) in [0, 1], grey where it has one channel."""
    shown: Any = image.clamp(0, 1).permute(1, 2, 0).numpy()
    axis.imshow(shown[..., 0] if shown.shape[2] == 1 else shown[..., :3], cmap="gray", vmin=0, vmax=1)


def _below(axis: Axes, text: str) -> None:
    axis.text(0, -0.04, text, transform=axis.transAxes, va="top", fontsize=7.5)
