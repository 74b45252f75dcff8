"""Which task may be done next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from .task import Outcome, Step, Task


class Schedule:
    """Steps in an order that respects what they need.

    All that is done on one victim stays together as far as it can: a worker goes on with the victim that it has in
    memory; one without takes the victim that the fewest others are at, the first of the plan among them.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = {step.task: step for step in steps}
        self._outcomes: dict[Task, Outcome] = {}
        self._waits_for: dict[Task, int] = {}
        self._followers: dict[Task, list[Task]] = {}
        self._ready: dict[str, deque[Task]] = {}
        for step in self._steps.values():
            before = {*step.needs, *step.after}
            self._waits_for[step.task] = len(before)
            for task in before:
                self._followers.setdefault(task, []).append(step.task)
            if not before:
                self._ready.setdefault(step.home, deque()).append(step.task)

    @property
    def left(self) -> int:
        """How many steps are not over."""
        return len(self._steps) - len(self._outcomes)

    def next(self, home: str, taken: Mapping[str, int]) -> Step | None:
        """The next step for a worker that is at ``home``, or None; ``taken`` tells how many workers are where."""
        if not self._ready:
            return None
        if home not in self._ready:
            home = min(self._ready, key=lambda one: taken.get(one, 0))
        queue = self._ready[home]
        step = self._steps[queue.popleft()]
        if not queue:
            del self._ready[home]
        return step

    def task(self, step: Step) -> Task:
        """The task of a step, told what its parts have taken."""
        spent = sum(self._outcomes[part].seconds for part in step.needs if part.part)
        return replace(step.task, spent=spent) if spent else step.task

    def again(self, step: Step) -> None:
        """Put back a step that nobody came to the end of."""
        self._ready.setdefault(step.home, deque()).appendleft(step.task)

    def over(self, task: Task, outcome: Outcome) -> Iterator[tuple[Task, Outcome]]:
        """Take note that a task is over; yields those that can not be done for that, with what they come to."""
        open_ends = [(task, outcome)]
        while open_ends:
            ended, came_to = open_ends.pop()
            self._outcomes[ended] = came_to
            for follower in self._followers.pop(ended, ()):
                if follower in self._outcomes:
                    continue
                self._waits_for[follower] -= 1
                step = self._steps[follower]
                if came_to.status != "done" and ended in step.needs:
                    yield follower, came_to
                    open_ends.append((follower, came_to))
                elif not self._waits_for[follower]:
                    self._ready.setdefault(step.home, deque()).append(follower)
