"""How networks were fitted: by epoch, and by the share of the training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from .canvas import Look, grid, key, per_cent
from .source import Fit, Nothing, Source, mean, sample_words, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {"validation_accuracy": "accuracy on held-out images", "validation_loss": "the scheme's own loss"}
FEW = 20
"""Epochs up to which each is marked by a point."""


def convergence(source: Source) -> Figure:
    """Held-out accuracy and loss by epoch: a line for each label scheme, the mean over seeds within their range."""
    fits = [fit for fit in source.fits if fit.epochs]
    if not fits:
        raise Nothing("no network was fitted here")
    panels = list(_by(fits, _setting))
    common, own = told([_setting(group[0]) for group in panels])
    seeds = max(len({fit.seed for fit in group}) for group in panels)
    band = f"mean of {seeds} seeds, band: their range" if seeds > 1 else "1 seed"
    figure, axes = grid(
        f"Convergence by label scheme\n{common} · undefended networks · {band}",
        [f"{words}\n{text}" if words else text for text in CURVES.values() for words in own],
        columns=len(panels),
        size=(4.0, 2.4),
    )
    for (column, _), row in zip(CURVES.items(), np.array_split(np.array(axes, dtype=object), 2), strict=True):
        for axis, group in zip(row, panels, strict=True):
            for several in _by(group, lambda fit: fit.names["labels"]):
                _line(axis, several, column, source.labels[several[0].names["labels"]])
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
            if column == "validation_accuracy":
                per_cent(axis.yaxis)
            else:
                axis.set_yscale("log")
    key(figure, {name: look for name, look in source.labels.items() if name in {fit.names["labels"] for fit in fits}})
    return figure


def _setting(fit: Fit) -> dict[str, Any]:
    """What a panel holds fixed."""
    share = fit.training.get("fraction", 1.0)
    return {"dataset": fit.names["dataset"], "model": fit.names["model"], "fraction": f"{100 * share:g} % of the data"}


def _by(fits: Sequence[Fit], what: Any) -> Iterator[list[Fit]]:
    """The fits that have the same of something, in order."""
    order = {str(what(fit)): n for n, fit in reversed(list(enumerate(fits)))}
    placed = sorted(fits, key=lambda fit: order[str(what(fit))])
    yield from (list(group) for _, group in groupby(placed, key=lambda fit: str(what(fit))))


def _line(axis: Axes, fits: Sequence[Fit], column: str, look: Look) -> None:
    """The mean of several fits over the epochs that all of them had, within their range."""
    length = min(len(fit.epochs) for fit in fits)
    values = np.array([[epoch[column] for epoch in fit.epochs[:length]] for fit in fits])
    epochs = np.arange(1, length + 1)
    marker = look.marker if length <= FEW else ""
    axis.plot(epochs, values.mean(0), color=look.colour, linestyle=look.line, marker=marker)
    if len(fits) > 1:
        axis.fill_between(epochs, values.min(0), values.max(0), color=look.colour, alpha=0.15, linewidth=0)


def efficiency(source: Source) -> Figure:
    """Accuracy on clean test images by the share of the training images that was used, for each label scheme."""
    fractions = {fit.training.get("fraction", 1.0) for fit in source.fits}
    if len(fractions) < 2:
        raise Nothing("all networks were trained on the same share of the images; [training] fraction sets it")
    rows = _with_fractions(source)
    panels = list(rows.groupby(["on", "model", "defence"], sort=False))
    common, own = told([dict(zip(("on", "model", "defence"), names, strict=True)) for names, _ in panels])
    figure, axes = grid(
        f"Clean test accuracy by share of the training images\n{common} · {sample_words(rows)}, 95 % intervals",
        own,
        size=(3.4, 2.8),
        sharey=True,
    )
    for axis, (_, panel) in zip(axes, panels, strict=True):
        for name, scheme in panel.groupby("labels", sort=False):
            _efficiency(axis, scheme, source.labels[str(name)])
        _share_axis(axis, sorted(fractions))
        per_cent(axis.yaxis)
    key(figure, {name: look for name, look in source.labels.items() if name in set(rows["labels"])})
    return figure


def _with_fractions(source: Source) -> Any:
    """The victims of the tables whose training is known, each once, with their share and data set."""
    fits = {victim: fit for fit in source.fits for victim in fit.victims}
    rows = source.done[source.done["victim"].isin(list(fits))].drop_duplicates("victim")
    made = [fits[victim] for victim in rows["victim"]]
    return rows.assign(
        share=[fit.training.get("fraction", 1.0) for fit in made], on=[fit.names["dataset"] for fit in made]
    )


def _efficiency(axis: Axes, scheme: Any, look: Look) -> None:
    points = {share: found for share, rows in scheme.groupby("share") if (found := mean(rows, "clean_accuracy"))}
    middle, low, high = np.array(list(points.values())).T
    axis.errorbar(
        list(points),
        middle,
        (middle - low, high - middle),
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        elinewidth=0.8,
    )


def _share_axis(axis: Axes, shares: Sequence[float]) -> None:
    axis.set_xscale("log")
    axis.set_xticks(shares, [f"{100 * share:g} %" for share in shares])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("share of the training images")
