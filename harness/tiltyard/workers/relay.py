"""What an actor is: it holds one worker process of its machine and passes on what that is told and tells."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping

from .assignment import Assignment
from .crew import Died
from .process import Worker
from .task import Task

LEASE = 60.0
"""Seconds after which a relay that nobody asks ends its process and itself: the coordinator is gone."""
WAIT = 1.0
"""Seconds that a relay waits for something to tell."""


class Relay:
    """One process, started with the first task and again after its death."""

    def __init__(self, assignment: Assignment, environment: Mapping[str, str]) -> None:
        self._assignment = assignment
        self._environment = environment
        self._worker: Worker | None = None
        self._asked = time.monotonic()
        threading.Thread(target=self._expire, daemon=True).start()

    def give(self, task: Task) -> None:
        """Send a task to the process."""
        if self._worker and not self._worker.alive:
            self.kill()
        if self._worker is None:
            self._worker = Worker(self._assignment, self._environment)
        self._worker.give(task)

    def hear(self) -> list[bytes | Died]:
        """What the process has told, as it came; nothing, after ``WAIT`` seconds."""
        self._asked = time.monotonic()
        worker = self._worker
        if worker is None or not (worker.connection.poll(WAIT) or not worker.alive):
            return []
        content = worker.read()
        if content is not None:
            return [content]
        self._worker = None
        return [Died(worker.bury())]

    def rest(self) -> list[bytes | Died]:
        """Nothing, at once, for an idle process: being asked is all."""
        self._asked = time.monotonic()
        return []

    def kill(self) -> None:
        """End the process."""
        self._asked = time.monotonic()
        worker, self._worker = self._worker, None
        if worker:
            worker.kill()

    def _expire(self) -> None:
        while time.monotonic() - self._asked < LEASE:
            time.sleep(1)
        self.kill()
        os._exit(1)
