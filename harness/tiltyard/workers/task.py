"""What a run consists of, in words that any process can make sense of which has the same plan and the same store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..contracts import Norm

Kind = Literal["health", "fit", "cell", "probe"]


@dataclass(frozen=True)
class Task:
    """One piece of work; what it leaves behind lies in the store."""

    kind: Kind
    id: str
    """The id of a victim (``fit``, ``probe``) or of a cell (``cell``; ``health`` is about the attack of that cell)."""
    norm: Norm | None = None
    """The norm of a probe."""
    part: tuple[int, int] | None = None
    """``(i, n)``: every n-th batch of a cell from the i-th on, to be joined by the task of the whole cell."""
    spent: float = 0.0
    """Seconds that the parts of a cell have taken."""


@dataclass(frozen=True)
class Outcome:
    """What came of a task."""

    status: Literal["done", "skipped", "failed"] = "done"
    reason: str | None = None
    detail: str = ""
    """The traceback of a failure."""
    seconds: float = 0.0


DONE = Outcome()


@dataclass(frozen=True)
class Step:
    """A task in its place among the others."""

    task: Task
    needs: tuple[Task, ...] = ()
    """Tasks that must have been done: if one was not, this one comes to the same."""
    after: tuple[Task, ...] = ()
    """Tasks that must be over, whatever came of them."""
    home: str = ""
    """The victim whose network it takes: a worker that has it in memory goes on with it."""
