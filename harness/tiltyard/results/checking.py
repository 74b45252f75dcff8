"""Every kept file held against its checksum, and what is not as it was written set aside."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..problems import UserError
from .files import TEMPORARY, as_named, read_json, sha256, sync_folder

FILES = "files"
"""The key of ``cell.json`` that holds the sha256 of the cell's records and images, by name."""
QUARANTINE = "quarantine"
"""The folder, beside ``cells`` and ``fits``, of what was set aside."""
_LOG = logging.getLogger("tiltyard")


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written, why one knows, and all that must be computed anew for it."""

    file: Path
    reason: str
    lost: tuple[Path, ...]


def damages(folder: Path) -> Iterator[Damage]:
    """What in a results folder is not as it was written; every file is read once, nothing is changed."""
    for cell in sorted(folder.glob("cells/*/")):
        yield from _cell(cell)
    for fit in sorted(folder.glob("fits/*/")):
        yield from _fit(fit)
    for path in sorted((*folder.glob("victims/*/*.json"), *folder.glob("health/*.json"), folder / "provenance.json")):
        yield from _json(path, (path,))


def set_right(folder: Path) -> list[Damage]:
    """Move what is damaged to ``quarantine`` with a line in its ``log.txt``, and remove what a killed run left.

    Only for who holds the folder's lock. What was set aside is as if it had never been computed.
    """
    for left in folder.rglob(f".*{TEMPORARY}"):
        left.unlink(missing_ok=True)
    found = list(damages(folder))
    for damage in found:
        _LOG.warning("%s: %s; set aside in %s, computed anew", damage.file, damage.reason, folder / QUARANTINE)
        for path in damage.lost:
            _set_aside(folder, path, damage)
    _tidy(folder)
    return found


def _tidy(folder: Path) -> None:
    """Remove what was on its way out when a run was killed: parts that are joined, checkpoints of finished fits."""
    for records, left in (("cells/*/cell.json", "part-*.parquet"), ("fits/*/fit.json", "unfinished*.pt")):
        for record in folder.glob(records):
            if (read_json(record) or {}).get("status", "done") == "done":
                for path in record.parent.glob(left):
                    path.unlink()


def _set_aside(folder: Path, path: Path, damage: Damage) -> None:
    if not path.exists():
        return  # gone with another file of the same batch
    target = folder / QUARANTINE / path.relative_to(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{path.name}~{number}")
    with (folder / QUARANTINE / "log.txt").open("a", encoding="utf-8") as log:  # before the move: none goes untold
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        log.write(f"{when}  {target.relative_to(folder)}  {damage.file.relative_to(folder)}: {damage.reason}\n")
        log.flush()
        os.fsync(log.fileno())
    path.rename(target)
    sync_folder(path.parent)


def _cell(folder: Path) -> Iterator[Damage]:
    """A finished cell is lost as a whole, of an unfinished one a batch: its images and its records."""
    told = None
    try:
        told = read_json(folder / "cell.json")
    except UserError as error:
        yield Damage(folder / "cell.json", _reason(error), (folder,))
        return
    if (told or {}).get("status") == "done":
        yield from _listed(folder, told or {})
        return
    for path in sorted((*folder.glob("part-*.parquet"), *folder.glob("images-*.safetensors"))):
        if not as_named(path.name, sha256(path)):
            number = path.name.split("-")[1].split(".")[0]
            batch = (*folder.glob(f"part-{number}*"), *folder.glob(f"images-{number}*"))
            yield Damage(path, "its sha256 is not the one in its name", batch)


def _listed(folder: Path, told: dict[str, Any]) -> Iterator[Damage]:
    """The first of the files of a finished cell that is missing or another; older versions listed none."""
    for name, digest in told.get(FILES, {}).items():
        path = folder / Path(name).name
        if not path.is_file():
            yield Damage(path, "is gone", (folder,))
            return
        if sha256(path) != digest:
            yield Damage(path, "its sha256 is not the recorded one", (folder,))
            return


def _fit(folder: Path) -> Iterator[Damage]:
    for path in sorted(folder.glob("unfinished-*.pt")):
        if not as_named(path.name, sha256(path)):
            yield Damage(path, "its sha256 is not the one in its name", (path,))
    broken = list(_json(folder / "fit.json", (folder,)))
    known = None if broken else read_json(folder / "fit.json")
    weights = folder / "model.safetensors"
    if known and not weights.is_file():
        broken = [Damage(weights, "is gone", (folder,))]
    elif known and sha256(weights) != known.get("sha256"):
        broken = [Damage(weights, "its sha256 is not the recorded one", (folder,))]
    yield from broken


def _json(path: Path, lost: tuple[Path, ...]) -> Iterator[Damage]:
    try:
        read_json(path)
    except UserError as error:
        yield Damage(path, _reason(error), lost)


def _reason(error: UserError) -> str:
    """What is the matter, without the path before it and the way out after it."""
    return str(error).partition(": ")[2].partition("; `bench run`")[0]
