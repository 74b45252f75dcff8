"""The order of tasks: nothing before what it needs, one victim's work together, and no task lost."""

from __future__ import annotations

import random

from tiltyard.workers import DONE, Outcome, Schedule, Step, Task, coordinate
from tiltyard.workers.crew import Died, Finished, Message

FIT, OTHER = Task("fit", "a"), Task("fit", "b")
CELLS = [Task("cell", f"a{n}") for n in range(3)]
FAILED = Outcome("failed", "a bug")


def _order(steps: list[Step]) -> list[Task]:
    """One worker's way through the steps."""
    schedule, home, order = Schedule(steps), "", []
    while (step := schedule.next(home, {})) is not None:
        order.append(step.task)
        home = step.home
        assert not list(schedule.over(step.task, DONE))
    assert not schedule.left
    return order


def test_one_worker_finishes_a_victim_before_it_takes_the_next() -> None:
    fits = [Step(FIT, home="a"), Step(OTHER, home="b")]
    cells = [Step(cell, needs=(FIT,), home="a") for cell in CELLS]
    assert _order([*fits, *cells]) == [FIT, *CELLS, OTHER]


def test_a_second_worker_begins_elsewhere() -> None:
    schedule = Schedule([Step(CELLS[0], home="a"), Step(CELLS[1], home="a"), Step(OTHER, home="b")])
    first = schedule.next("", {})
    assert first
    second = schedule.next("", {first.home: 1})
    assert second
    assert {first.home, second.home} == {"a", "b"}


def test_what_needs_a_failed_task_comes_to_the_same_and_what_comes_after_it_does_not() -> None:
    after = Task("probe", "a")
    steps = [Step(FIT), Step(CELLS[0], needs=(FIT,)), Step(CELLS[1], needs=(CELLS[0],)), Step(after, after=CELLS[:2])]
    schedule = Schedule(steps)
    assert schedule.next("", {}) == steps[0]
    assert dict(schedule.over(FIT, FAILED)) == {CELLS[0]: FAILED, CELLS[1]: FAILED}
    assert schedule.next("", {}) == steps[3]


def test_a_whole_cell_is_told_what_its_parts_took() -> None:
    parts = tuple(Task("cell", "a", part=(n, 2)) for n in range(2))
    whole = Step(Task("cell", "a"), needs=parts)
    schedule = Schedule([*map(Step, parts), whole])
    for part in parts:
        assert schedule.next("", {})
        assert not list(schedule.over(part, Outcome(seconds=2.0)))
    assert schedule.next("", {}) == whole
    assert schedule.task(whole).spent == 4.0


class Unreliable:
    """A crew whose workers come and go, and die in the middle of one task in four."""

    size = 3

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._tasks: dict[int, Task] = {}
        self._names = [0, 1, 2]
        self.done: list[Task] = []

    def idle(self) -> list[int]:
        return [name for name in self._names if name not in self._tasks]

    def give(self, slot: int, task: Task) -> None:
        assert slot not in self._tasks
        self._tasks[slot] = task

    def hear(self, seconds: float) -> list[tuple[int, Message]]:
        if not self._tasks:
            return []
        slot = self._random.choice(list(self._tasks))
        task = self._tasks.pop(slot)
        if self._random.random() < 0.25:
            self._names[self._names.index(slot)] = max(self._names) + 1
            return [(slot, Died("lost", blameless=self._random.random() < 0.5))]
        self.done.append(task)
        return [(slot, Finished(DONE))]

    def kill(self, slot: int) -> None:
        raise AssertionError("nothing hangs here")

    def close(self) -> None:
        pass


def test_whoever_dies_every_task_is_done_in_order_or_told_lost() -> None:
    tasks = [Task("cell", str(n)) for n in range(40)]
    for seed in range(25):
        draw = random.Random(seed)
        before = [tuple(draw.sample(tasks[:n], min(n, 2))) for n in range(40)]
        steps = [Step(task, needs=before[n], home=str(n % 5)) for n, task in enumerate(tasks)]
        crew, lost = Unreliable(seed), dict[Task, Outcome]()
        coordinate(steps, crew, lambda _: None, lost.__setitem__)
        assert sorted([*crew.done, *lost], key=tasks.index) == tasks
        assert all(crew.done.index(b) < crew.done.index(s.task) for s in steps if s.task in crew.done for b in s.needs)
