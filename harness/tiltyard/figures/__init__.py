"""Figures of a results folder: each is a function of what lies in it, and the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..problems import UserError, suggest
from ..results import load, write
from .against import entropy, geometry, overlap
from .canvas import FORMATS, STYLE, encoded
from .codes import labels
from .curves import curves
from .examples import examples
from .robustness import robustness
from .source import Nothing, Source
from .training import convergence, efficiency

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "FORMATS", "Drawn", "plot"]

FIGURES: Mapping[str, Callable[[Source], Figure]] = {
    "convergence": convergence,
    "efficiency": efficiency,
    "robustness": robustness,
    "curves": curves,
    "entropy": entropy,
    "overlap": overlap,
    "geometry": geometry,
    "labels": labels,
    "examples": examples,
}
"""Every figure by its name; each raises ``Nothing`` where the folder has nothing to show."""


@dataclass(frozen=True)
class Drawn:
    """A figure and its file, or why there is nothing to show."""

    name: str
    path: Path | None
    reason: str = ""


def plot(
    folder: Path,
    names: Iterable[str] = (),
    *,
    out: Path | None = None,
    form: str = "png",
    data: Path | None = None,
    plugins: Iterable[Path] = (),
) -> list[Drawn]:
    """Draw the figures ``names`` of a results folder, or all, into ``out`` (its ``figures/``) as png, svg or pdf.

    ``data`` and ``plugins`` are where clean images are looked for. Raises ``UserError`` on an unknown name or format,
    on what is no results folder, and without matplotlib.
    """
    names = list(names) or list(FIGURES)
    for name in names:
        if name not in FIGURES:
            raise UserError(f'there is no figure "{name}"{suggest(name, FIGURES)}')
    if form not in FORMATS:
        raise UserError(f'no figure can be written as "{form}"{suggest(form, FORMATS)}')
    if find_spec("matplotlib") is None:
        raise UserError("figures need matplotlib: python -m pip install 'tiltyard[plot]'")
    source = Source(load(folder), data, tuple(plugins))
    return [_drawn(source, name, (out or folder / "figures") / f"{name}.{form}") for name in dict.fromkeys(names)]


def _drawn(source: Source, name: str, path: Path) -> Drawn:
    import matplotlib as mpl

    try:
        with mpl.rc_context(STYLE):
            content = encoded(FIGURES[name](source), path.suffix[1:])
    except Nothing as nothing:
        return Drawn(name, None, str(nothing))
    write(path, content)
    return Drawn(name, path)
