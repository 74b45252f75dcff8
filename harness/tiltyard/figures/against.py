"""Robust accuracy held against what a codebook is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..results import CODEBOOK
from ..words import eps_text
from .canvas import FAINT, LINES, MARKERS, Look, grid, key, per_cent
from .source import GROUND, Nothing, Source, groups, sample_words, told

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIXED = (*GROUND, "model", "defence")
"""What a panel holds fixed."""
SHADES = ("#9ecae1", "#4292c6", "#08519c", "#08306b")
"""Of balls, the darker the larger."""
BALLS = len(SHADES)
SCHEMES, CORRELATED = 3, 4
"""Schemes from which on their geometry is held against each other, and a rank correlation told."""


def entropy(source: Source) -> Figure:
    """Worst-case accuracy against the number of cells of a code, within families of schemes that vary it."""
    return _family(
        source,
        "code_dimension",
        "cells of a code",
        "Robust accuracy against the dimension of the codes",
        "no two schemes of one family differ in the dimension of their codes",
    )


def overlap(source: Source) -> Figure:
    """Worst-case accuracy against the key ``gap`` of a scheme that separates the ranges of its classes by it."""
    return _family(
        source,
        "gap",
        "gap between the ranges of two classes",
        "Robust accuracy against the gap between classes",
        "no two label schemes differ in a key `gap`",
    )


def _family(source: Source, column: str, axis_words: str, title: str, lacking: str) -> Figure:
    """A panel for each setting and family of schemes: a line for each eps, and clean accuracy."""
    rows = source.worst
    known = [source.parameters(labels) for labels in rows["labels"]]
    rows = rows.assign(family=[one["use"] for one in known], gap=[one.get("gap", np.nan) for one in known])
    rows = rows[rows[column].notna()]
    panels = [one for one in groups(rows, (*FIXED, "family")) if one[1][column].nunique() > 1]
    if not panels:
        raise Nothing(lacking)
    common, own = told([words for words, _ in panels])
    figure, axes = grid(
        f"{title}\n{common} · {sample_words(rows)}, worst case over attacks, 95 % intervals",
        own,
        size=(3.2, 2.7),
        sharey=True,
    )
    for axis, (_, panel) in zip(axes, panels, strict=True):
        _line(axis, panel[panel["eps"] == panel["eps"].min()], column, "clean", _CLEAN)
        for eps, look in _shades(panel).items():
            _line(axis, panel[panel["eps"] == eps], column, f"eps {eps_text(eps)}", look)
        values = sorted(float(value) for value in panel[column].unique())
        axis.set_xscale("symlog", linthresh=min(value for value in values if value > 0))
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.set_xticks([], minor=True)
        axis.set_xlabel(axis_words)
        per_cent(axis.yaxis)
        axis.legend(fontsize=7)
    return figure


_CLEAN = Look(FAINT, "o", "--")


def _shades(rows: pd.DataFrame) -> dict[float, Look]:
    """A look for each eps; of more than ``BALLS`` those that lie evenly between the smallest and the largest."""
    sizes = sorted(rows["eps"].unique().tolist())
    chosen = np.unique(np.linspace(0, len(sizes) - 1, min(BALLS, len(sizes))).round().astype(int))
    shades = SHADES[-len(chosen) :] if len(chosen) > 1 else SHADES[2:3]
    return {float(sizes[n]): Look(shades[k], MARKERS[k], LINES[0]) for k, n in enumerate(chosen)}


def _line(axis: Axes, rows: pd.DataFrame, column: str, words: str, look: Look) -> None:
    """Accuracy in a ball, or on clean images, with its intervals."""
    rows = rows.sort_values(column)
    kind = "clean" if look is _CLEAN else "robust"
    middle = rows[f"{kind}_accuracy"].to_numpy(float)
    arms = middle - rows[f"{kind}_low"].to_numpy(float), rows[f"{kind}_high"].to_numpy(float) - middle
    axis.errorbar(
        rows[column].to_numpy(float),
        middle,
        arms,
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        elinewidth=0.8,
        label=words,
    )


def geometry(source: Source) -> Figure:
    """Worst-case accuracy against each number of a codebook's geometry: a point for each label scheme."""
    rows = source.worst
    rows = rows[rows["code_dimension"].notna()]
    columns = {c.name: c.name.removeprefix("code_").replace("_", " ") for c in CODEBOOK}
    settings = [one for one in groups(rows, FIXED) if one[1]["labels"].nunique() >= SCHEMES]
    if not settings:
        raise Nothing(f"fewer than {SCHEMES} label schemes with a codebook can be held against each other")
    chosen = [(words | {"eps": f"eps {eps_text(eps)}"}, ball) for words, ball, eps in map(_middle, settings)]
    common, own = told([words for words, _ in chosen])
    shown = [name for name in columns if rows[name].nunique() > 1]
    figure, axes = grid(
        f"Robust accuracy against the geometry of the codes\n{common} · {sample_words(rows)}, worst case over attacks, "
        "95 % intervals; ρ: rank correlation over schemes",
        [words for words in own for _ in shown],
        columns=len(shown) if len(shown) <= 4 or len(chosen) > 1 else 4,
        size=(2.3, 2.6),
        sharey=True,
    )
    for axis, (name, ball) in zip(axes, _each(shown, chosen), strict=True):
        _scatter(axis, ball, name, source.labels)
        axis.set_xlabel(columns[name])
    key(figure, {name: look for name, look in source.labels.items() if name in set(rows["labels"])}, lines=False)
    return figure


def _middle(setting: tuple[dict[str, Any], pd.DataFrame]) -> tuple[dict[str, Any], pd.DataFrame, float]:
    """The ball in the middle of those of a setting: the smallest and the largest tell schemes apart the least."""
    words, rows = setting
    sizes = sorted(rows["eps"].unique().tolist())
    eps = float(sizes[(len(sizes) - 1) // 2])
    return words, rows[rows["eps"] == eps], eps


def _each(columns: Sequence[str], chosen: Sequence[tuple[Any, pd.DataFrame]]) -> Iterator[tuple[str, pd.DataFrame]]:
    for _, ball in chosen:
        for name in columns:
            yield name, ball


def _scatter(axis: Axes, ball: pd.DataFrame, column: str, labels: Mapping[str, Look]) -> None:
    for row in ball.to_dict("records"):
        look = labels[row["labels"]]
        x = float(row[column])
        axis.plot([x, x], [row["robust_low"], row["robust_high"]], color=look.colour, linewidth=0.9, alpha=0.75)
        axis.plot([x], [row["robust_accuracy"]], color=look.colour, marker=look.marker)
    _ticks(axis, ball[column].to_numpy(float))
    per_cent(axis.yaxis)
    correlation = _correlation(ball[column].to_numpy(float), ball["robust_accuracy"].to_numpy(float))
    axis.set_title("\n".join(filter(None, (axis.get_title("left"), correlation))), fontsize=8)


def _ticks(axis: Axes, values: Any) -> None:
    """A few round ticks, on a logarithmic axis where the values span several octaves."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

    if values.min() <= 0 or values.max() < 8 * values.min():
        axis.xaxis.set_major_locator(MaxNLocator(4))
        return
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0,) if values.max() > 50 * values.min() else (1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _correlation(x: Any, y: Any) -> str:
    """Spearman's rank correlation, where there are schemes enough and both vary."""
    from scipy.stats import spearmanr

    if len(x) < CORRELATED or len(set(x)) < 2 or len(set(y)) < 2:
        return ""
    return f"ρ = {spearmanr(x, y).statistic:+z.2f} ({len(x)} schemes)".replace("-", "\N{MINUS SIGN}")
