"""The program of a worker process: ``python -m tiltyard.workers.serve DESCRIPTOR PARENT``."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from .assignment import Assignment
from .crew import Finished, Message, Stopped
from .task import Outcome, Task
from .wire import dumps, portable

PR_SET_PDEATHSIG = 1
"""Of ``prctl``: the signal that a process gets when its parent dies."""


def main() -> None:
    """Do tasks until the coordinator is gone."""
    descriptor, parent = map(int, sys.argv[1:])
    _end_with(parent)
    connection = Connection(descriptor)
    assignment: Assignment = connection.recv()
    tasks: SimpleQueue[Task] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()

    def tell(message: Message) -> None:
        connection.send_bytes(dumps(message))

    hands: Callable[[Task], Outcome] | None = None
    while True:
        task = tasks.get()
        try:
            hands = hands or assignment.hands(tell)
            tell(Finished(hands(task)))
        except Exception as error:  # noqa: BLE001 - the coordinator decides what it means
            tell(Stopped(portable(error, traceback.format_exc())))


def _receive(connection: Connection, tasks: SimpleQueue[Task]) -> None:
    """Take tasks in; where no more can come, end this process and all that it started, whatever it is at."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os.killpg(os.getpgid(0), signal.SIGKILL)


def _end_with(parent: int) -> None:
    """Die when the parent does, also in a loop of compiled code; where memory runs out, die before it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    if os.getppid() != parent:
        sys.exit("the coordinator is gone")


if __name__ == "__main__":
    main()
