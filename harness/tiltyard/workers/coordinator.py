"""The one that holds the lock: it hands out tasks, hears what becomes of them, and gives up on none too early."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..events import BatchDone, CellStarted, Event
from ..health import SECONDS
from .crew import Crew, Died, Finished, Message, Stopped
from .schedule import Schedule
from .task import Outcome, Step, Task

GRACE = 60.0
"""Seconds that a worker may stay silent beyond what its task may take, for loading and judging."""
TRIES = 2
"""How often a task may end its worker before it is given up."""
LOSSES = 5
"""How often a task may lose its machine through no fault of its own."""
BEAT = 1.0
"""Seconds between two looks at the clock."""


@dataclass
class Work:
    """A step in the hands of a worker, and how long it may be silent."""

    step: Step
    patience: float | None = None
    until: float = field(default=float("inf"))

    def heard(self, event: Event | None = None) -> None:
        """Begin to count anew: from what a cell says that its batches may take, or from each batch."""
        if isinstance(event, CellStarted):
            self.patience = 2 * event.at_most + GRACE
        if self.patience is not None and (event is None or isinstance(event, CellStarted | BatchDone)):
            self.until = time.monotonic() + self.patience


def coordinate(
    steps: Iterable[Step], crew: Crew, report: Callable[[Event], None], lost: Callable[[Task, Outcome], None]
) -> None:
    """Have all steps done by a crew.

    ``report`` is told the events; ``lost`` is told the tasks that nobody came to the end of, which are those whose
    workers died twice and those that need one that failed. Raises what stops the whole run.
    """
    Coordinator(Schedule(steps), crew, report, lost).run()


class Coordinator:
    """Keeps account of who does what."""

    def __init__(
        self, schedule: Schedule, crew: Crew, report: Callable[[Event], None], lost: Callable[[Task, Outcome], None]
    ) -> None:
        self._schedule = schedule
        self._crew = crew
        self._report = report
        self._lost = lost
        self._working: dict[int, Work] = {}
        self._homes: dict[int, str] = {}
        self._taken: Counter[str] = Counter()
        self._deaths: Counter[tuple[Task, bool]] = Counter()

    def run(self) -> None:
        """Come back when all is over."""
        while self._schedule.left:
            self._hand_out()
            for slot, message in self._crew.hear(BEAT):
                self._take(slot, message)
            self._break_off()

    def _hand_out(self) -> None:
        for slot in self._crew.idle():
            step = self._schedule.next(self._homes.get(slot, ""), self._taken)
            if step is None:
                return
            work = self._working[slot] = Work(step, SECONDS + GRACE if step.task.kind == "health" else None)
            work.heard()
            self._homes[slot] = step.home
            self._taken[step.home] += 1
            self._crew.give(slot, self._schedule.task(step))

    def _take(self, slot: int, message: Message) -> None:
        if isinstance(message, Stopped):
            raise message.error
        if isinstance(message, Finished):
            self._over(self._free(slot).step, message.outcome)
        elif isinstance(message, Died):
            self._died(slot, message)
        else:
            if slot in self._working:
                self._working[slot].heard(message)
            self._report(message)

    def _free(self, slot: int) -> Work:
        work = self._working.pop(slot)
        self._taken[work.step.home] -= 1
        return work

    def _over(self, step: Step, outcome: Outcome) -> None:
        for task, inherited in self._schedule.over(step.task, outcome):
            self._lost(task, inherited)

    def _died(self, slot: int, message: Died) -> None:
        """Give the task to another worker, or give it up."""
        self._homes.pop(slot, None)
        if slot not in self._working:
            return
        work = self._free(slot)
        case = (work.step.task, message.blameless)
        self._deaths[case] += 1
        if self._deaths[case] < (LOSSES if message.blameless else TRIES):
            self._schedule.again(work.step)
            return
        outcome = Outcome("failed", f"{message.reason}, {self._deaths[case]} times")
        self._lost(self._schedule.task(work.step), outcome)
        self._over(work.step, outcome)

    def _break_off(self) -> None:
        now = time.monotonic()
        for slot, work in list(self._working.items()):
            if now > work.until:
                self._crew.kill(slot)
                self._died(slot, Died(f"the worker gave no sign of life for {work.patience:.0f} s and was ended"))
