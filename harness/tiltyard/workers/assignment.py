"""What a worker is told before its first task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..events import Event
from .task import Outcome, Task


class Assignment(Protocol):
    """How a worker comes to do the tasks of its coordinator; it is sent pickled."""

    def publish(self) -> None:
        """Called by the coordinator before a worker is started."""

    def withdraw(self) -> None:
        """Called by the coordinator after the last worker has ended."""

    def hands(self, report: Callable[[Event], None]) -> Callable[[Task], Outcome]:
        """What does the tasks in the worker's process; raises ``UserError``."""
