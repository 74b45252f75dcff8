"""Files that are either whole or absent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the name ``target`` once the block has ended without an exception.

    Folders are made as needed. A reader, or a second writer at the same time, never sees half a file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as stream:
        unfinished = Path(stream.name)
        try:
            yield stream
            stream.close()
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
