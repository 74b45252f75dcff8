"""A crew of Ray actors on the machines of a cluster, which may come and go."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ..problems import UserError
from .assignment import Assignment
from .crew import Died, Finished, Message
from .relay import Relay
from .task import Task
from .wire import Find, loads

LOOK = 5.0
"""Seconds between two looks for machines that have joined; idle actors hear of the coordinator as often."""
START = 180.0
"""Seconds in which a first actor must have started."""
END = 10.0
"""Seconds that an actor has to end its process, before it is ended itself."""


@dataclass
class Slot:
    """An actor, and the answer that is awaited from it."""

    actor: Any
    answer: Any
    ready: bool = False
    busy: bool = False


class Actors:
    """One actor for each GPU of the cluster, or for each CPU; ``jobs`` at most, if it is given.

    An actor that is lost is not restarted by Ray: the coordinator decides what becomes of its task, and another
    actor is started where there is room.
    """

    def __init__(self, ray: Any, assignment: Assignment, jobs: int | None, gpu: bool, find: Find) -> None:
        self._ray = ray
        self._assignment = assignment
        self._jobs = jobs
        self._unit = "GPU" if gpu else "CPU"
        self._find = find
        self._slots: dict[int, Slot] = {}
        self._count = 0
        self._began = time.monotonic()
        self._looked = -LOOK
        self._last_error = "no actor was given a place"

    @property
    def size(self) -> int:
        """How many actors there is room for now."""
        room = int(self._ray.cluster_resources().get(self._unit, 0))
        return min(self._jobs or room, room)

    def idle(self) -> Collection[int]:
        """The actors without a task; new ones are started where machines have joined."""
        if time.monotonic() - self._looked > LOOK:
            self._looked = time.monotonic()
            for _ in range(self.size - len(self._slots)):
                self._start()
            for slot in self._slots.values():
                if slot.answer is None:  # an actor that is never asked takes the coordinator for dead
                    slot.answer = slot.actor.rest.remote()
        return [number for number, slot in self._slots.items() if slot.ready and not slot.busy]

    def give(self, slot: int, task: Task) -> None:
        """Send a task to an actor."""
        one = self._slots[slot]
        one.busy = True
        one.actor.give.remote(task)
        one.answer = one.actor.hear.remote()

    def hear(self, seconds: float) -> Iterator[tuple[int, Message]]:
        """What the actors have told."""
        awaited = {slot.answer: number for number, slot in self._slots.items() if slot.answer is not None}
        if not any(slot.ready for slot in self._slots.values()) and time.monotonic() - self._began > START:
            raise UserError(f"--engine ray: no worker could be started in {START:.0f} s: {self._last_error}")
        if not awaited:
            time.sleep(seconds)
            return
        first, _ = self._ray.wait(list(awaited), timeout=seconds)
        answered, _ = self._ray.wait(list(awaited), num_returns=len(awaited), timeout=0) if first else ([], [])
        for answer in answered:
            yield from self._answered(awaited[answer])

    def kill(self, slot: int) -> None:
        """End the process of an actor, or the actor with it."""
        one = self._slots[slot]
        one.busy = False
        one.answer = None
        try:
            self._ray.get(one.actor.kill.remote(), timeout=END)
        except self._ray.exceptions.RayError:
            self._lose(slot)

    def close(self) -> None:
        """End all actors and leave the cluster."""
        ends = [slot.actor.kill.remote() for slot in self._slots.values()]
        if ends:
            self._ray.wait(ends, num_returns=len(ends), timeout=END)
        for number in list(self._slots):
            self._lose(number)
        self._ray.shutdown()
        self._assignment.withdraw()

    def _start(self) -> None:
        self._assignment.publish()
        options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
        options |= {"num_gpus": 1} if self._unit == "GPU" else {}
        threads = {} if self._unit == "GPU" else {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        actor = self._ray.remote(**options)(Relay).remote(self._assignment, threads)
        self._slots[self._count] = Slot(actor, actor.hear.remote())
        self._count += 1

    def _answered(self, number: int) -> Iterator[tuple[int, Message]]:
        slot = self._slots[number]
        try:
            told = self._ray.get(slot.answer)
        except self._ray.exceptions.RayError as error:
            self._last_error = str(error).strip().splitlines()[0]
            self._lose(number)
            if slot.busy:
                yield number, Died(f"the worker's machine was lost ({type(error).__name__})", blameless=True)
            return
        slot.ready = True
        for one in told:
            message = loads(one, self._find) if isinstance(one, bytes) else one
            if isinstance(message, Finished | Died):
                slot.busy = False
            yield number, message
        if number in self._slots:
            slot.answer = slot.actor.hear.remote() if slot.busy else None

    def _lose(self, number: int) -> None:
        self._ray.kill(self._slots.pop(number).actor)
