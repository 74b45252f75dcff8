"""What all figures have in common: type, colours, a grid of panels, and bytes that are the same every time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#222222", "#8a8a8a"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, which the colour-blind can tell apart; black is kept for worst cases."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
Line = Literal["-", "--", ":", ""]
LINES: tuple[Line, ...] = ("-", "--", ":")

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "savefig.dpi": 150,
    "svg.hashsalt": "tiltyard",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
_UNDATED: Mapping[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(_UNDATED)


@dataclass(frozen=True)
class Look:
    """How one series is drawn, in every panel and figure alike."""

    colour: str
    marker: str
    line: Line


WORST = Look("#000000", "D", "-")


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, in order; colour and marker both differ, so that neither is needed to tell them apart."""
    return {
        name: Look(COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)], LINES[n // len(COLOURS) % len(LINES)])
        for n, name in enumerate(dict.fromkeys(names))
    }


def grid(
    title: str, panels: Sequence[str], *, columns: int = 4, size: tuple[float, float] = (2.7, 2.3), **shared: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with a titled panel for each of ``panels``, row by row; ``size`` is one panel's, in inches.

    The first line of ``title`` is what is shown, others tell of what.
    """
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    head, _, below = title.partition("\n")
    width, height = max(columns * size[0], 5.2), rows * size[1] + 0.9
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(f"{head}\n{_wrapped(below, width)}" if below else head, x=0.01, ha="left", fontsize=10)
    axes: list[Axes] = figure.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    for axis, name in zip(axes, panels, strict=False):
        axis.set_title(_wrapped(name, size[0]))
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    return figure, axes[: len(panels)]


def key(figure: Figure, series: Mapping[str, Look], *, lines: bool = True) -> None:
    """A legend below all panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line if lines else "", label=name)
        for name, look in series.items()
    ]
    longest = max((len(name) for name in series), default=1)
    columns = max(1, min(len(handles), int(figure.get_figwidth() / (0.075 * longest + 0.5))))
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, handlelength=2.4)


def per_cent(axis: Any, low: float = 0.0, high: float = 1.0) -> None:
    """An x or y axis of shares from 0 to 1, told in per cent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0))
    pad = 0.03 * (high - low)
    axis.axes.set(**{f"{axis.axis_name}lim": (low - pad, high + pad)})


def encoded(figure: Figure, form: str) -> bytes:
    """The figure as the content of a png, svg or pdf file, without a date."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata=_UNDATED[form])
    return buffer.getvalue()


def _wrapped(text: str, inches: float) -> str:
    """Text broken at spaces, so that it is not wider than a panel."""
    import textwrap

    return "\n".join(
        line for part in text.split("\n") for line in textwrap.wrap(part, max(12, int(inches * 15.5))) or [""]
    )
