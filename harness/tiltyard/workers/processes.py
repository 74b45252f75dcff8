"""A crew of processes on this machine."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from multiprocessing.connection import wait

import torch

from .assignment import Assignment
from .crew import Died, Finished, Message
from .process import Worker
from .task import Task
from .wire import Find, loads


class Processes:
    """One process for each of ``environments``, started with its first task and again after its death."""

    def __init__(self, assignment: Assignment, environments: Sequence[Mapping[str, str]], find: Find) -> None:
        self._assignment = assignment
        self._environments = environments
        self._find = find
        self._workers: dict[int, Worker] = {}
        self._busy: set[int] = set()

    @property
    def size(self) -> int:
        """Number of processes."""
        return len(self._environments)

    @property
    def pids(self) -> dict[int, int]:
        """The processes that run, by slot."""
        return {slot: worker.pid for slot, worker in self._workers.items()}

    def idle(self) -> Collection[int]:
        """The slots without a task."""
        return [slot for slot in range(self.size) if slot not in self._busy]

    def give(self, slot: int, task: Task) -> None:
        """Send a task to the process of a slot, which is started if there is none, or none alive."""
        if slot in self._workers and not self._workers[slot].alive:
            self._gone(slot).kill()
        if slot not in self._workers:
            self._assignment.publish()
            self._workers[slot] = Worker(self._assignment, self._environments[slot])
        self._busy.add(slot)
        self._workers[slot].give(task)

    def hear(self, seconds: float) -> Iterator[tuple[int, Message]]:
        """What the busy processes have told."""
        slots = {self._workers[slot].connection: slot for slot in self._busy}
        told = {slots[one] for one in wait(list(slots), seconds)}  # type: ignore[index]
        for slot in sorted(slots.values()):
            # A process that has forked may die while its child holds the connection open: nothing is told then.
            if slot in told or not self._workers[slot].alive:
                yield slot, self._message(slot)

    def kill(self, slot: int) -> None:
        """End the process of a slot."""
        self._gone(slot).kill()

    def close(self) -> None:
        """End all processes."""
        for slot in list(self._workers):
            self._gone(slot).kill()
        self._assignment.withdraw()

    def _message(self, slot: int) -> Message:
        content = self._workers[slot].read()
        if content is None:
            return Died(self._gone(slot).bury())
        message = loads(content, self._find)
        if isinstance(message, Finished):
            self._busy.discard(slot)
        return message

    def _gone(self, slot: int) -> Worker:
        self._busy.discard(slot)
        return self._workers.pop(slot)


def environments(jobs: int | None, device: torch.device) -> list[dict[str, str]]:
    """What tells the processes of this machine apart: a GPU each, or one thread of torch each on the CPU.

    ``jobs`` is their number: None for one per GPU or core. More than there are GPUs share them in turn.
    """
    if device.type == "cuda":
        gpus = _gpus() if device.index is None else [_gpus()[device.index]]
        return [{"CUDA_VISIBLE_DEVICES": gpus[n % len(gpus)]} for n in range(jobs or len(gpus))]
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    return [{"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}] * (jobs or _cores())


def _gpus() -> list[str]:
    """The GPUs that this process sees, by the names under which another one sees them too."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return named.split(",") if named else [str(n) for n in range(torch.cuda.device_count())]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
