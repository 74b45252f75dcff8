"""A disk that fails, or takes the process with it, at the n-th thing it is asked to do."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO
from unittest import mock

from tiltyard.results import files

Fault = Callable[[], None]


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def broken() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Disk:
    """Counts writes, syncs and renames of the store's writer; from the ``at``-th on, each comes to ``fault``.

    A write that fails leaves half of its bytes. With ``once`` only that one fails.
    """

    def __init__(self, at: int, fault: Fault, *, once: bool = False) -> None:
        self.calls: list[str] = []
        self._at = at
        self._fault = fault
        self._once = once

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Disk]:
        with contextlib.ExitStack() as patches:
            for name in ("fsync", "replace", "fdopen"):
                patches.enter_context(mock.patch.object(files.os, name, self._watched(name, getattr(os, name))))
            yield self

    def asked(self, what: str) -> bool:
        """Note down what the disk is asked for; whether it fails now."""
        self.calls.append(what)
        return len(self.calls) == self._at if self._once else len(self.calls) >= self._at

    def fail(self) -> None:
        self._fault()

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "fdopen":
                return _File(real(*args, **kwargs), self)
            if self.asked(name):
                self.fail()
            return real(*args, **kwargs)

        return call


class _File:
    """An open file whose writes the disk counts."""

    def __init__(self, file: BinaryIO, disk: Disk) -> None:
        self._file = file
        self._disk = disk

    def write(self, content: bytes) -> int:
        if self._disk.asked("write"):
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            self._disk.fail()
        return self._file.write(content)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
