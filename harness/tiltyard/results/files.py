"""Files written whole or not at all, with a checksum that travels in the file's name or, for JSON, inside it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..problems import UserError

TEMPORARY = ".tmp"
"""How the name of a file that is being written ends; whoever dies leaves one behind."""
CHECKSUM = "checksum"
"""The last key of a JSON file: the sha256 of the file as it is without it."""
_STATED = re.compile(r"-([0-9a-f]{16})\.[a-z]+")
_LAST = re.compile(rb'"[0-9a-f]{64}"\n}\n\Z')


class DamagedError(UserError):
    """A kept file is not what was written."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}; `bench run` sets it aside and computes it anew")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and durably: a temporary one beside it, synced, renamed, the folder synced."""
    with _naming(path):
        _make(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            os.replace(name, path)  # noqa: PTH105 - the one rename; tests make it fail
        finally:
            Path(name).unlink(missing_ok=True)
        sync_folder(path.parent)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A disk that refuses to write or sync names no file: this one does."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_named(folder: Path, stem: str, suffix: str, content: bytes) -> Path:
    """Write ``<stem>-<digest><suffix>``: file and checksum come into being in one rename, so no kill parts them."""
    path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    write(path, content)
    return path


def sha256(path: Path) -> str:
    """Digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_named(name: str, digest: str) -> bool:
    """Whether a file with this sha256 is the one its name tells of; a name without a digest tells nothing."""
    stated = _STATED.search(name)
    return stated is None or digest.startswith(stated[1])


def read_checked(path: Path, digest: str | None = None) -> bytes:
    """The content of a file; raises ``DamagedError`` where it is not what ``digest`` and its name say, or is gone."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DamagedError(path, "is gone") from None
    found = hashlib.sha256(content).hexdigest()
    if digest not in (None, found) or not as_named(path.name, found):
        raise DamagedError(path, "is not the file that was written, its sha256 is another")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically, its checksum the last key."""
    plain = {key: value for key, value in content.items() if key != CHECKSUM}
    write(path, _encoded(plain | {CHECKSUM: hashlib.sha256(_encoded(plain)).hexdigest()}))


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file's object without its checksum, or None where there is no such file.

    Raises ``DamagedError`` where the file is not what was written; one without a checksum, of an older version or
    from another hand, is believed.
    """
    try:
        raw = path.read_bytes()
        content: dict[str, Any] = json.loads(raw)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise DamagedError(path, "holds no JSON object")
    stated = content.pop(CHECKSUM, None)
    # A last value that is a digest under any other key: the bit that flipped is in the name of the checksum.
    if stated is None and not _LAST.search(raw):
        return content
    whole = _encoded(content | {CHECKSUM: stated})
    if raw != whole or stated != hashlib.sha256(_encoded(content)).hexdigest():
        raise DamagedError(path, "is not what was written, its checksum is another")
    return content


def _encoded(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def _make(folder: Path) -> None:
    """A folder and those above it, each durably in the one above."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: a rename alone does not outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
