"""Messages as bytes, between processes that have the same plan: cells and victims go by their ids."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from ..problems import UserError
from ..spec import Cell, Victim
from .crew import Message

Find = Callable[[str, str], Cell | Victim]
"""Class name and id to the cell or victim."""


def dumps(message: Message) -> bytes:
    """A message as bytes."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(message)
    return buffer.getvalue()


def loads(content: bytes, find: Find) -> Message:
    """The message that a process of this run, and nobody else, made ``content`` of."""
    message: Message = _Unpickler(content, find).load()
    return message


def portable(error: Exception, trace: str) -> Exception:
    """An error that can be sent: as it is where it is the user's or the disk's, otherwise in words."""
    if isinstance(error, UserError):
        return UserError(str(error))
    if isinstance(error, OSError) and error.errno:
        return OSError(error.errno, error.strerror, error.filename)
    return RuntimeError(f"in a worker:\n{trace}")


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> tuple[str, str] | None:
        if isinstance(obj, Cell | Victim):
            return type(obj).__name__, obj.id
        return None


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, find: Find) -> None:
        super().__init__(io.BytesIO(content))
        self._find = find

    def persistent_load(self, pid: tuple[str, str]) -> Cell | Victim:
        return self._find(*pid)
