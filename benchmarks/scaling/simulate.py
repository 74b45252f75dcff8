"""What the scheduler costs: a plan of many cells, none of which does anything, through the real coordinator.

    python benchmarks/scaling/simulate.py [CELLS] [WORKERS]

The plan is a real one (a network, seeds and attacks); its tasks go through the same graph, schedule, coordinator,
messages and processes as those of ``bench run --jobs``, and each is answered with "done" at once. First with
``WORKERS`` processes of this machine, then with 256 slots in this process, which is what remains when the processes
cost nothing.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from no_op import NoOp

from tiltyard.events import Event
from tiltyard.plugins import Plugins
from tiltyard.results import Store
from tiltyard.runner.graph import cell_steps
from tiltyard.runner.index import Index
from tiltyard.spec import plan
from tiltyard.workers import DONE, Outcome, Processes, Task, coordinate
from tiltyard.workers.crew import Finished, Message

ResultT = TypeVar("ResultT")
ATTACKS = 100
SLOTS = 256

TOML = """
[benchmark]
name = "simulation"
seeds = {seeds}
[[dataset]]
use = "vision.digits"
[[model]]
use = "vision.small_cnn"
[[threat]]
norm = "linf"
eps = "8/255"
{attacks}
"""


def main() -> None:
    """Print a line for each stage: seconds, those of the coordinator's CPU, the same a cell, megabytes at the peak."""
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulation.toml"
        attacks = "".join(f'[[attack]]\nuse = "native.pgd"\nsteps = {n + 1}\n' for n in range(ATTACKS))
        path.write_text(TOML.format(seeds=list(range(cells // ATTACKS)), attacks=attacks))
        made = timed("plan", cells, lambda: plan(path, Plugins()))
        steps = timed("tasks and their order", cells, lambda: list(cell_steps(made.cells)))
        index = Index(made, Store(Path(folder)))
        place = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
        crew = Processes(NoOp(path), [place] * workers, index.find)
        fits = [step for step in steps if step.task.kind == "fit"][:workers]
        timed("start of the processes", cells, lambda: coordinate(fits, crew, ignore, never))
        timed(f"{workers} processes", cells, lambda: coordinate(steps, crew, ignore, never))
        crew.close()
        timed(f"{SLOTS} slots that cost nothing", cells, lambda: coordinate(steps, Instant(), ignore, never))


def timed(words: str, cells: int, work: Callable[[], ResultT]) -> ResultT:
    """What ``work`` returns, and a line about it."""
    started, busy = time.perf_counter(), time.process_time()
    result = work()
    spent, busy = time.perf_counter() - started, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cost = f"{spent:8.2f} s {busy:8.2f} s CPU {1e6 * busy / cells:8.1f} us CPU a cell {peak:7.0f} MB"
    print(f"{words:32}{cost}", flush=True)
    return result


def ignore(event: Event) -> None:
    """Events are received, and that is all."""


def never(task: Task, outcome: Outcome) -> None:
    """No task is lost here."""
    raise AssertionError(f"{task} was lost: {outcome.reason}")


class Instant:
    """A crew whose slots answer at once and in turn."""

    size = SLOTS

    def __init__(self) -> None:
        self._free = set(range(SLOTS))
        self._busy: deque[int] = deque()

    def idle(self) -> list[int]:
        """The slots without a task."""
        return list(self._free)

    def give(self, slot: int, task: Task) -> None:
        """Take a task."""
        self._free.remove(slot)
        self._busy.append(slot)

    def hear(self, seconds: float) -> Iterable[tuple[int, Message]]:
        """The oldest task is done."""
        slot = self._busy.popleft()
        self._free.add(slot)
        return [(slot, Finished(DONE))]

    def kill(self, slot: int) -> None:
        """Nothing hangs here."""

    def close(self) -> None:
        """Nothing is open."""


if __name__ == "__main__":
    main()
