"""One run of a plan: what is not finished is done, by this process or by a crew, and the tables are written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from ..events import CellFinished, Event
from ..geometry import keep_geometry
from ..health import badge
from ..provenance import device_name, plan_digest, provenance
from ..results import TABLES, Store, read_json
from ..spec import Cell, Plan
from ..tabulate import tables
from ..workers import Crew, Here, Outcome, Step, Task, coordinate
from .graph import cell_steps, health_steps, probe_steps
from .hands import Hands
from .index import Index
from .keeping import keep_lost
from .share import Share

Hire = Callable[[Index], Crew]
"""What brings up a crew for a run; the index tells what the ids in its messages stand for."""


@dataclass
class Run:
    """One run of a plan into a store on a device: by this process, unless ``hire`` finds others."""

    plan: Plan
    store: Store
    device: torch.device
    report: Callable[[Event], None]
    hire: Hire | None = None
    share: Share | None = None
    """The part of the cells that is run, where other machines run the others."""
    _news: bool = field(default=False, init=False)

    def __call__(self) -> bool:
        """Run what is not finished and write the tables; whether every cell that could run did.

        Input is checked before anything is trained: data that cannot be read and checkpoints that do not fit
        raise ``UserError``.
        """
        waiting = self._waiting()
        self._hands.victims.check(dict.fromkeys(cell.victim for cell in waiting))
        try:
            with contextlib.closing(self._crew()) as crew:
                unchecked = self._mine if self.plan.benchmark.doctor else ()
                self._work([*self._checks(unchecked), *cell_steps(waiting, self._parts(waiting, crew))], crew)
                if self.plan.benchmark.masking and not self.share:
                    self._look_for_masking(crew)
        finally:
            if self._news or not self._tables_current():
                self._write_tables()
        return all(self._outcome(cell)[0] != "failed" for cell in self._mine)

    @cached_property
    def _mine(self) -> Sequence[Cell]:
        return self.share.cells(self.plan) if self.share else self.plan.runnable

    @cached_property
    def _hands(self) -> Hands:
        return Hands(self.plan, self.store, self.device, self._told)

    @cached_property
    def _index(self) -> Index:
        return self._hands.index

    def _crew(self) -> Crew:
        return self.hire(self._index) if self.hire else Here(self._hands)

    def _work(self, steps: Sequence[Step], crew: Crew) -> None:
        if steps:
            coordinate(steps, crew, self._told, self._lost)

    def _told(self, event: Event) -> None:
        self._news = True
        self.report(event)

    def _lost(self, task: Task, outcome: Outcome) -> None:
        event = keep_lost(self.plan, self.store, self._index, task, outcome)
        if event:
            self._told(event)

    def _look_for_masking(self, crew: Crew) -> None:
        """Probe the victims, and answer what is found where the benchmark asks for it."""
        self._work(list(probe_steps(self.plan, self.store)), crew)
        answers = [cell for cell in self._index.answers if self._outcome(cell)[0] not in ("done", "skipped")]
        checks = self._checks(answers) if self.plan.benchmark.doctor else ()
        self._work([*checks, *cell_steps(answers)], crew)

    def _checks(self, cells: Sequence[Cell]) -> Sequence[Step]:
        return list(health_steps(c for c in cells if badge(self.store, c.attack, c.threat.norm) is None))

    def _parts(self, waiting: Sequence[Cell], crew: Crew) -> int:
        """Into how many parts cells are divided, so that no worker of the crew goes without."""
        if not waiting or len(waiting) >= crew.size:
            return 1
        batches = -(-min(cell.samples for cell in waiting) // self.plan.benchmark.batch_size)
        return min(batches, -(-crew.size // len(waiting)))

    def _waiting(self) -> list[Cell]:
        """The cells of this run that are not finished, those of one victim together."""
        waiting: dict[str, list[Cell]] = {}
        mine = set(self._mine)
        for cell in self.plan.cells:
            status, reason = ("skipped", cell.skip) if cell.skip else self._outcome(cell)
            if status in ("done", "skipped"):
                self.report(CellFinished(cell, status, reason, before=not cell.skip))
            elif cell in mine:
                waiting.setdefault(cell.victim.id, []).append(cell)
        return [cell for cells in waiting.values() for cell in cells]

    def _outcome(self, cell: Cell) -> tuple[str, str | None]:
        summary = self.store.cell(cell.id).summary
        return (summary["status"], summary["reason"]) if summary else ("unfinished", None)

    def _tables_current(self) -> bool:
        written = read_json(self.store.folder / "provenance.json")
        there = all((self.store.folder / f"{name}.csv").exists() for name in TABLES)
        return there and written is not None and written["plan"] == plan_digest(self.plan)

    def _write_tables(self) -> None:
        for victim in dict.fromkeys(cell.victim for cell in self._mine if self._outcome(cell)[0] == "done"):
            keep_geometry(self._hands.victims, victim)
        made = tables(self.plan, self.store)
        hashes = self._hands.victims.data_hashes()
        self.store.write_tables(made, provenance(self.plan, device_name(self.device), hashes))
