"""What the coordinator asks of those who do the work, and what it hears from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from ..events import Event
from .task import Outcome, Task


@dataclass(frozen=True)
class Finished:
    """A worker has done its task."""

    outcome: Outcome


@dataclass(frozen=True)
class Stopped:
    """A worker met what stops the whole run: a mistake of the user's, a disk that refuses, a bug."""

    error: Exception


@dataclass(frozen=True)
class Died:
    """A worker is gone."""

    reason: str
    blameless: bool = False
    """Whether its machine went, which is not the task's fault."""


Message = Event | Finished | Stopped | Died


class Crew(Protocol):
    """Workers in numbered slots, each of which does one task at a time."""

    @property
    def size(self) -> int:
        """How many slots there are, or will be."""

    def idle(self) -> Collection[int]:
        """The slots that can be given a task now; slots may come and go."""

    def give(self, slot: int, task: Task) -> None:
        """Have a task done in an idle slot."""

    def hear(self, seconds: float) -> Iterable[tuple[int, Message]]:
        """What the slots have told since, after ``seconds`` at the latest. One that died is idle again, or gone."""

    def kill(self, slot: int) -> None:
        """End the worker of a slot and all that it started; the slot is idle again, or gone. Nothing is told of it."""

    def close(self) -> None:
        """End all workers."""


class Here:
    """A crew of one: this process. Events are reported while the task is done, and nobody can break it off."""

    size = 1

    def __init__(self, hands: Callable[[Task], Outcome]) -> None:
        self._hands = hands
        self._task: Task | None = None

    def idle(self) -> Collection[int]:
        """The one slot, if it has no task."""
        return () if self._task else (0,)

    def give(self, slot: int, task: Task) -> None:
        """Keep the task until it is asked for."""
        self._task = task

    def hear(self, seconds: float) -> Iterable[tuple[int, Message]]:
        """Do the task, however long it takes."""
        if self._task:
            task, self._task = self._task, None
            yield 0, Finished(self._hands(task))

    def kill(self, slot: int) -> None:
        """Not possible."""
        raise RuntimeError("a process cannot break off its own task")

    def close(self) -> None:
        """Nothing is open."""
