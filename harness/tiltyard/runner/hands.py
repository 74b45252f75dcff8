"""Tasks done in this process."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from ..contracts import Incompatible
from ..events import AttackExamined, CellFinished, Event
from ..health import examine
from ..masking import probe_victim
from ..problems import UserError, refused_by_disk
from ..results import Store
from ..spec import Plan
from ..statistics import imprecise, unjudged
from ..victims import Victims
from ..workers import DONE, Outcome, Task
from .cells import CellRunner
from .index import Index
from .keeping import keep_cell


@dataclass
class Hands:
    """Does the tasks of a plan one at a time, and keeps networks and data in memory from one to the next."""

    plan: Plan
    store: Store
    device: torch.device
    report: Callable[[Event], None]

    def __call__(self, task: Task) -> Outcome:
        """Do a task; what goes wrong in a fit or a cell is its outcome.

        Raises ``UserError``, and ``OSError`` where a disk refuses.
        """
        return {"health": self._health, "fit": self._fit, "cell": self._cell, "probe": self._probe}[task.kind](task)

    @cached_property
    def victims(self) -> Victims:
        """The networks and data sets in memory."""
        return Victims(self.plan, self.store, self.device, self.report)

    @cached_property
    def index(self) -> Index:
        """What the ids of tasks stand for."""
        return Index(self.plan, self.store, self.victims.classifier)

    def _health(self, task: Task) -> Outcome:
        cell = self.index.cell(task.id)
        badge = examine(self.store, cell.attack, cell.threat.norm)
        self.report(AttackExamined(cell.attack.label, cell.threat.norm, badge))
        return DONE

    def _fit(self, task: Task) -> Outcome:
        return _tried(lambda: self.victims.classifier(self.index.victim(task.id)))

    def _probe(self, task: Task) -> Outcome:
        assert task.norm is not None
        probe_victim(self.plan, self.store, self.victims, self.index.victim(task.id), task.norm)
        return DONE

    def _cell(self, task: Task) -> Outcome:
        cell = self.index.cell(task.id)
        outcome = _tried(lambda: CellRunner(self.plan, self.store, self.victims, self.report)(cell, task.part))
        if task.part is None:
            records = self.store.cell(cell.id).samples()
            if outcome.status == "done" and (refused := imprecise(records)):
                outcome = replace(outcome, status="failed", reason=refused)
            keep_cell(self.plan, self.store, cell, outcome, task.spent)
            lacking = unjudged(records) if outcome.status == "done" else None
            self.report(CellFinished(cell, outcome.status, outcome.reason or lacking))
        return outcome


def _tried(work: Callable[[], object]) -> Outcome:
    started = time.perf_counter()
    try:
        work()
    except Incompatible as refusal:
        return Outcome("skipped", str(refusal))
    except UserError:
        raise
    except Exception as error:
        # Foreign code: whatever goes wrong must not stop the other tasks, but for a disk that takes nothing more.
        if refused_by_disk(error):
            raise
        spent = time.perf_counter() - started
        return Outcome("failed", f"{type(error).__name__}: {error}", traceback.format_exc(), spent)
    return Outcome(seconds=time.perf_counter() - started)
