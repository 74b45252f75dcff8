"""One worker process, as its coordinator holds it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe

from .assignment import Assignment
from .task import Task

DYING = 5.0
"""Seconds that a process may take to end once it has closed its connection."""
REAP = 10.0
"""Seconds to wait for the end of a process that was killed."""


class Worker:
    """A process of its own session, which ends with the process that started it."""

    def __init__(self, assignment: Assignment, environment: Mapping[str, str]) -> None:
        self.connection, theirs = Pipe()
        command = [sys.executable, "-m", "tiltyard.workers.serve", str(theirs.fileno()), str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a plugin prints is no data
                start_new_session=True,
            )
        self.connection.send(assignment)

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def give(self, task: Task) -> None:
        """Send a task; a worker that is dead does not take it, which is seen when it is heard next."""
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def read(self) -> bytes | None:
        """The next message of a process that has one or is dead; None for one that is dead."""
        try:
            return self.connection.recv_bytes() if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(REAP)
        self.connection.close()

    def bury(self) -> str:
        """Clear away after a process that has closed its connection; returns how it ended, in words."""
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(DYING)
        self.kill()
        return _words(code)


def _words(code: int | None) -> str:
    if code is None:
        return "the worker closed its connection"
    if code < 0:
        return f"the worker was ended by {signal.Signals(-code).name}"
    return f"the worker ended itself with exit code {code}"
