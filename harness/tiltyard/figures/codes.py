"""Codes as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .canvas import bare, grid, heading
from .source import Nothing, Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES = 10
"""Codes of a scheme that are shown, at most."""
CODES = "scheme.codes"
"""The codebook among the tensors of a fit."""


def labels(source: Source) -> Figure:
    """The codes of every codebook: a row for each label scheme, a picture for each class, one colour scale a row.

    A code that is no matrix is drawn as stripes, one for each cell.
    """
    books = _codebooks(source)
    if not books:
        raise Nothing("no network was fitted to codes; category labels have none")
    width = min(CLASSES, max(len(codes) for codes in books.values()))
    data = list(dict.fromkeys(fit.names["dataset"] for fit in source.fits))
    figure, axes = grid(
        f"Codes, one for each class\n{', '.join(data)}; each row has its own colour scale",
        [""] * len(books) * width,
        columns=width,
        size=(0.95, 1.2),
    )
    for row, (name, codes) in enumerate(books.items()):
        mine = axes[row * width : (row + 1) * width]
        for axis in mine:
            bare(axis)
        heading(mine[0], _words(name, codes))
        for number, (axis, code) in enumerate(zip(mine, codes, strict=False)):
            _picture(axis, code, codes)
            axis.set_xlabel(f"class {number}" if row == len(books) - 1 else "", fontsize=8)
    return figure


def _picture(axis: Axes, code: NDArray[np.float32], codes: NDArray[np.float32]) -> None:
    """A code on the colour scale of its codebook: a matrix as it is, anything else as a square of stripes."""
    matrix, square = code.ndim == 2, (0.0, 1.0, 0.0, 1.0)
    axis.imshow(
        code if matrix else code.reshape(1, -1),
        cmap="viridis",
        vmin=float(codes.min()),
        vmax=float(codes.max()),
        extent=None if matrix else square,
        interpolation="nearest",
    )


def _codebooks(source: Source) -> dict[str, NDArray[np.float32]]:
    """The codes (K, *shape) by label scheme; category labels, which have no geometry, are no codebook."""
    rows = source.results.table
    known = set(rows.loc[rows["code_dimension"].notna(), "labels"])
    several = len({fit.names["dataset"] for fit in source.fits}) > 1
    order = list(source.labels)
    found: dict[str, NDArray[np.float32]] = {}
    for fit in sorted(source.fits, key=lambda fit: (fit.names["dataset"], order.index(fit.names["labels"]))):
        name = f"{fit.names['dataset']} · {fit.names['labels']}" if several else fit.names["labels"]
        if fit.names["labels"] in known and name not in found:
            found[name] = _read(fit.folder)
    return found


def _read(folder: Path) -> NDArray[np.float32]:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        codes: NDArray[np.float32] = file.get_tensor(CODES)
    return codes


def _words(name: str, codes: NDArray[np.float32]) -> str:
    shape = "×".join(map(str, codes.shape[1:]))
    values = f"{codes.min():.2f} … {codes.max():.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{name} · {shape} · {values}"
