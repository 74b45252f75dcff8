"""The assignment of workers that do nothing, as fast as they can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiltyard.events import BatchDone, CellStarted, Event
from tiltyard.plugins import Plugins
from tiltyard.results import Store
from tiltyard.runner.index import Index
from tiltyard.spec import Plan, plan
from tiltyard.workers import DONE, Outcome, Task


@dataclass(frozen=True)
class NoOp:
    """The assignment of workers that make the plan, tell the events of a cell of one batch, and do nothing."""

    path: Path

    def publish(self) -> None:
        """Nothing has to be found."""

    def withdraw(self) -> None:
        """Nothing was left."""

    def hands(self, report: Callable[[Event], None]) -> Callable[[Task], Outcome]:
        """What answers with "done"."""
        made: Plan = plan(self.path, Plugins())
        index = Index(made, Store(self.path.parent))

        def do(task: Task) -> Outcome:
            if task.kind == "cell":
                cell = index.cell(task.id)
                report(CellStarted(cell, 1, 0, 1.0))
                report(BatchDone(cell, 1))
            return DONE

        return do
