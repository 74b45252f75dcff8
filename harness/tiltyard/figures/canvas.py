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
    figure.suptitle(f"{head}\n{wrapped(below, width)}" if below else head, x=0.01, ha="left", fontsize=10)
    axes: list[Axes] = figure.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
    for axis, name in zip(axes, panels, strict=False):
        axis.set_title(wrapped(name, size[0]))
    for unused in axes[len(panels) :]:
        unused.set_axis_off()
    for lowest in axes[: len(panels)][-columns:]:  # shared axes are labelled in the last row alone, full or not
        lowest.tick_params(labelbottom=True)
    return figure, axes[: len(panels)]


def key(figure: Figure, series: Mapping[str, Look], *, lines: bool = True) -> None:
    """A legend below all panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            markersize=9 if look.marker == "|" else None,
            linestyle=look.line if lines else "",
            label=name,
        )
        for name, look in series.items()
    ]
    longest = max(map(len, series))
    columns = max(1, min(len(handles), int(figure.get_figwidth() / (0.06 * longest + 0.55))))
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, handlelength=2.4)


def per_cent(axis: Any) -> None:
    """An x or y axis of shares from 0 to 1, told in per cent."""
    from matplotlib.ticker import MultipleLocator, PercentFormatter

    axis.set_major_locator(MultipleLocator(0.25))
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="" if axis.axis_name == "x" else " %"))
    axis.axes.set(**{f"{axis.axis_name}lim": (-0.03, 1.03)})


def encoded(figure: Figure, form: str) -> bytes:
    """The figure as the content of a png, svg or pdf file, without a date."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, metadata=_UNDATED[form])
    return buffer.getvalue()


def bare(axis: Axes) -> None:
    """A panel for a picture: no frame, no ticks, no grid; title and x label stay."""
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def heading(axis: Axes, text: str) -> None:
    """A title that may be wider than its panel: it goes on over the panels to the right."""
    axis.set_title(" ")  # keeps the height free
    axis.text(0, 1.04, text, transform=axis.transAxes, va="bottom").set_in_layout(False)


def wrapped(text: str, inches: float) -> str:
    """Text broken at spaces, so that it is hardly wider than a panel."""
    import textwrap

    width = max(10, int(inches * 13.5))
    return "\n".join(textwrap.fill(line, width, break_long_words=False) for line in text.split("\n"))
