"""Adversarial images beside what they were made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..contracts import Data, distance, pixels
from .canvas import FAINT, bare, grid, wrapped
from .clean import clean_data
from .evidence import Evidence, evidence
from .source import Nothing, Source, entry_words, groups, told

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENTRIES, ATTACKS = 5, 6
"""Entries and attacks that are shown, at most: the first ones."""
SIDE = 1.45
"""Of a picture with its caption, in inches."""


def examples(source: Source) -> Figure:
    """Adversarial images beside their originals, and below them the magnified differences, for each entry and attack.

    Of each data set one sample is shown: that which most of these attacks broke, the first of several.
    """
    rows, columns = _tried(source)
    entries = list(groups(rows, ("dataset", "model", "entry")))[:ENTRIES]
    found = [[evidence(source.results, own[own["column"] == name]) for name in columns] for _, own in entries]
    chosen = _chosen([words["dataset"] for words, _ in entries], found)
    if not chosen:
        raise Nothing("no image that broke a victim was kept; [benchmark] keep_images = true keeps them")
    data = clean_data(source)
    common, own_words = told([words for words, _ in entries])
    width = 1 + len(columns)
    figure, axes = grid(
        f"Adversarial images, and how they differ from the original\n{common} · the largest eps of each attack, seed "
        f"{rows['seed'].iloc[0]} · differences are magnified around grey",
        ["original", *columns] + [""] * (2 * width * len(entries) - width),
        columns=width,
        size=(SIDE, SIDE + 0.15),
    )
    for place, ((words, own), cells, name) in enumerate(zip(entries, found, own_words, strict=True)):
        block = axes[2 * place * width : 2 * (place + 1) * width]
        for axis in block:
            bare(axis)
            axis.set_title(axis.get_title("left"), fontsize=7.5)
        if words["dataset"] in chosen:
            _block(block, cells, data[own["cell"].iloc[0]], chosen[words["dataset"]], name)
    return figure


def _tried(source: Source) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the first seed with their entries and attacks in words, and the attacks, those of a norm together."""
    rows = source.done[source.done["units"] == "pixels"]
    if rows.empty:
        raise Nothing("all attacks worked behind the normalisation: what they found lies in no picture's [0, 1]")
    rows = rows[rows["seed"] == rows["seed"].iloc[0]]
    rows = rows.assign(entry=entry_words(rows), column=rows["charge"] + "\n" + rows["norm"])
    norms = list(dict.fromkeys(rows["norm"]))
    columns = rows.drop_duplicates("column")
    columns = columns.iloc[columns["norm"].map(norms.index).argsort(kind="stable")]
    return rows, columns["column"].tolist()[:ATTACKS]


def _chosen(datasets: Sequence[str], found: Sequence[Sequence[Evidence | None]]) -> dict[str, int]:
    """The sample of each data set to show; none where no image was kept."""
    counts: dict[str, Counter[int]] = {}
    for dataset, cells in zip(datasets, found, strict=True):
        for cell in filter(None, cells):
            counts.setdefault(dataset, Counter()).update(cell.broken)
    return {
        dataset: min(count, key=lambda sample: (-count[sample], sample)) for dataset, count in counts.items() if count
    }


def _block(axes: Sequence[Axes], cells: Sequence[Evidence | None], data: Data, sample: int, name: str) -> None:
    """The two rows of one entry: its original and what each attack made of it, the differences below."""
    above, below = axes[: 1 + len(cells)], axes[1 + len(cells) :]
    original = pixels(data.test[torch.tensor([sample])].images)[0]
    _picture(above[0], original, f"{data.classes[int(data.test.labels[sample])]} (no. {sample})\n{name}".strip())
    for cell, axis, other in zip(cells, above[1:], below[1:], strict=True):
        if cell is None or sample not in cell.broken:
            fate = cell.fate(sample) if cell else "not tried"
            axis.text(0.5, 0.5, fate, transform=axis.transAxes, ha="center", va="center", color=FAINT)
            continue
        image, prediction = cell.image(sample)
        delta = image - original
        length, factor = float(distance(delta[None].double(), cell.norm)[0]), 0.5 / float(delta.abs().max())
        _picture(axis, image, f"taken for {data.classes[prediction]}")
        _picture(other, 0.5 + factor * delta, f"{cell.norm} {length:.3g}, ×{factor:.3g}")


def _picture(axis: Axes, image: Tensor, caption: str) -> None:
    """An image (C, H, W) in [0, 1], grey where it has one channel."""
    shown: Any = image.clamp(0, 1).permute(1, 2, 0).numpy()
    axis.imshow(shown[..., 0] if shown.shape[2] == 1 else shown[..., :3], cmap="gray", vmin=0, vmax=1)
    axis.set_xlabel(wrapped(caption, SIDE), fontsize=7.5, loc="left")
