"""Official files: looked for, checked against their published MD5, downloaded where they are absent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from tiltyard import Files, MissingFile

from .atomic import replacing

TIMEOUT = 30.0  # seconds without an answer, after which a server counts as unreachable


def obtain(files: Files, names: Sequence[str], md5: str, urls: Sequence[str]) -> Path:
    """The first of ``names`` that exists in the folders of ``files``; else a download to ``data/names[0]``.

    Raises ``ValueError`` where the file is not the official one and ``MissingFile`` where it is neither here
    nor to be had; both say which file and what to do.
    """
    for name in names:
        with suppress(MissingFile):
            path = files.find(name)
            verify(path.read_bytes(), md5, path)
            return path
    return _download(files, names, md5, urls)


def verify(content: bytes, md5: str, origin: Path) -> None:
    """Raises ``ValueError`` where the MD5 of ``content`` is not the published one."""
    found = _md5(content)
    if found != md5:
        raise ValueError(
            f"{origin} is damaged or not the official file: its MD5 is {found} and not {md5}; "
            "delete it, and it is downloaded again, or put the official one in its place"
        )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _download(files: Files, names: Sequence[str], md5: str, urls: Sequence[str]) -> Path:
    target, failures = files.data / names[0], []
    for url in urls:
        try:
            with urlopen(url, timeout=TIMEOUT) as answer:
                content = answer.read()
            if _md5(content) == md5:
                with replacing(target) as stream:
                    stream.write(content)
                return target
            failures.append(f"{url}: what it sent has not the MD5 {md5}")
        except (OSError, HTTPException) as error:
            failures.append(f"{url}: {error}")
    places = ", ".join(str(folder / name) for name in names for folder in files.folders)
    raise MissingFile(
        f"{Path(names[0]).name}: not found (looked for {places}) and not downloaded ({'; '.join(failures)}); "
        f"fetch it where there is a network and put it at {target}, or name the folder that holds it with "
        "--data DIR or $TILTYARD_DATA"
    )
