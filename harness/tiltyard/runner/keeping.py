"""What is written about a task by whoever knows how it ended: the worker that did it, or the one that saw it die."""

from __future__ import annotations

from ..events import AttackExamined, CellFinished, Event, VictimProbed
from ..health import keep_crash
from ..masking import keep_reason
from ..results import Store
from ..spec import Cell, Plan
from ..tabulate import identity
from ..workers import Outcome, Task
from .index import Index


def keep_cell(plan: Plan, store: Store, cell: Cell, outcome: Outcome, spent: float = 0.0) -> None:
    """Write how a cell ended; ``spent`` are the seconds of its parts. The records of its batches stay."""
    folder = store.cell(cell.id)
    if outcome.detail:
        folder.folder.mkdir(parents=True, exist_ok=True)
        (folder.folder / "error.txt").write_text(outcome.detail, encoding="utf-8")
    seconds = spent + outcome.seconds
    content = {"status": outcome.status, "reason": outcome.reason, "seconds": seconds, "cell": identity(plan, cell)}
    folder.finish(content)


def keep_lost(plan: Plan, store: Store, index: Index, task: Task, outcome: Outcome) -> Event | None:
    """Write the outcome of a task that nobody came to the end of, and the event that tells of it."""
    reason = outcome.reason or outcome.status
    if task.kind == "cell" and task.part is None:
        cell = index.cell(task.id)
        keep_cell(plan, store, cell, outcome, task.spent)
        return CellFinished(cell, outcome.status, outcome.reason)
    if task.kind == "health":
        cell = index.cell(task.id)
        return AttackExamined(
            cell.attack.label, cell.threat.norm, keep_crash(store, cell.attack, cell.threat.norm, reason)
        )
    if task.kind == "probe" and task.norm is not None:
        victim = index.victim(task.id)
        keep_reason(store, victim, task.norm, reason)
        return VictimProbed(victim, task.norm, reason)
    return None
