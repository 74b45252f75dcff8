"""What a run is doing, told on stderr: a live bar on a terminal, lines where they were asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tiltyard.events import AttackExamined, BatchDone, CellFinished, CellStarted, EpochDone, Event, VictimProbed

from .show import InertConsole

if TYPE_CHECKING:
    from tiltyard.spec import Cell, Plan


SHOWN = 16
"""Bars of what is under way, at most."""


@contextlib.contextmanager
def reporter(plan: Plan, *, quiet: bool, verbose: bool) -> Iterator[Callable[[Event], None]]:
    """A function that tells events on stderr; failures are told even when quiet."""
    console = InertConsole(stderr=True, soft_wrap=True)
    lines = Lines(console, len(plan.cells), verbose and not quiet)
    if quiet or not sys.stderr.isatty():
        yield lines
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bars(progress, lines, len(plan.cells))


class Lines:
    """One line per epoch and finished cell if ``verbose``; cells that failed or lack a verdict are always told."""

    def __init__(self, console: Console, cells: int, verbose: bool) -> None:
        self._console = console
        self._cells = cells
        self._finished = 0
        self._verbose = verbose

    def __call__(self, event: Event) -> None:
        if isinstance(event, CellFinished):
            self._finished += 1
            new = event.status == "done" and not event.before
            if event.status == "failed" or (new and (self._verbose or event.reason)):
                reason = f": {event.reason}" if event.reason else ""
                self._say(f"{self._finished}/{self._cells} {event.status} {cell_words(event.cell)}{reason}")
        elif isinstance(event, VictimProbed):
            if event.reason or self._verbose:
                outcome = f"could not be probed: {event.reason}" if event.reason else "probed"
                self._say(f"{event.victim.words} · {event.norm}: {outcome}")
        elif isinstance(event, AttackExamined):
            if self._verbose or not event.badge.startswith("passed"):
                self._say(f"{event.attack} · {event.norm}: health checks: {event.badge}")
        elif self._verbose and isinstance(event, EpochDone):
            epoch = event.epoch
            accuracy = f"validation accuracy {100 * epoch.validation_accuracy:.1f} %"
            self._say(f"{event.network} · epoch {epoch.epoch}/{event.epochs}: loss {epoch.train_loss:.4g}, {accuracy}")

    def _say(self, line: str) -> None:
        self._console.print(escape(line), highlight=False)


class Bars:
    """A bar for the cells and one for each of what is under way, as far as they fit."""

    def __init__(self, progress: Progress, lines: Lines, cells: int) -> None:
        self._progress = progress
        self._lines = lines
        self._all = progress.add_task("cells", total=cells)
        self._under_way: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            self._show(f"training {event.network}", event.epoch.epoch, event.epochs)
            if event.epoch.epoch == event.epochs:
                self._end(f"training {event.network}")
        elif isinstance(event, CellStarted):
            self._show(cell_words(event.cell), event.finished, event.samples)
        elif isinstance(event, BatchDone):
            if bar := self._under_way.get(cell_words(event.cell)):
                self._progress.advance(bar, event.samples)
        else:
            if isinstance(event, CellFinished):
                self._end(cell_words(event.cell))
                self._progress.advance(self._all)
            self._lines(event)

    def _show(self, words: str, done: int, total: int) -> None:
        if words in self._under_way:
            self._progress.update(self._under_way[words], completed=done, total=total)
        elif len(self._under_way) < SHOWN:
            self._under_way[words] = self._progress.add_task(escape(words), completed=done, total=total)

    def _end(self, words: str) -> None:
        if words in self._under_way:
            self._progress.remove_task(self._under_way.pop(words))


def cell_words(cell: Cell) -> str:
    """A cell in a line."""
    return (
        f"{cell.victim.words} · {cell.attack.label} · {cell.threat.metric} {cell.threat.goal} {cell.threat.knowledge}"
    )
