"""The cells and victims of a plan by their ids, those included that the harness adds as an answer to a flag."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..masking import Lend, Report, escalated
from ..results import Store
from ..spec import Cell, Plan, Victim


@dataclass
class Index:
    """Finds what a task is about."""

    plan: Plan
    store: Store
    lend: Lend | None = None
    """Gives the classifier of a victim whose gradient an escalated cell borrows; needed where cells are run."""

    def cell(self, cell_id: str) -> Cell:
        """The cell of the plan, or of the answers to its flags, that has this id; raises ``KeyError``."""
        return self._cells[cell_id] if cell_id in self._cells else self._answers[cell_id]

    def victim(self, victim_id: str) -> Victim:
        """The victim that has this id; raises ``KeyError``."""
        return self._victims[victim_id]

    def find(self, kind: str, name: str) -> Cell | Victim:
        """The ``Cell`` or ``Victim`` that has an id; raises ``KeyError``."""
        return self.cell(name) if kind == "Cell" else self.victim(name)

    @cached_property
    def answers(self) -> tuple[Cell, ...]:
        """The cells that answer the flags raised on the plan's victims: known once all are probed."""
        if not self.plan.benchmark.escalate:
            return ()
        return escalated(self.plan, Report(self.plan, self.store).judged, self.lend)

    @cached_property
    def _cells(self) -> dict[str, Cell]:
        return {cell.id: cell for cell in self.plan.cells}

    @cached_property
    def _answers(self) -> dict[str, Cell]:
        return {cell.id: cell for cell in self.answers}

    @cached_property
    def _victims(self) -> dict[str, Victim]:
        return {victim.id: victim for victim in self.plan.victims}
