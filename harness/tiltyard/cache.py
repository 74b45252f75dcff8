"""What lies in a results folder, and what of it the plan of its tables still uses."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bundle.replan import Watched, of_run, replan, wanted, with_answers
from .health.kept import health_id
from .parameters import plain
from .plugins import Plugins
from .problems import UserError
from .results import QUARANTINE, DamagedError, Store, load, read_json
from .spec import DATA, Plan

KINDS = ("cells", "fits", "victims", "health", QUARANTINE)
"""The folders of a results folder whose entries stand for themselves."""


@dataclass(frozen=True)
class Entry:
    """A cell, a fit, what was found out about a victim or an attack, or something that was set aside."""

    kind: str
    path: Path
    words: str
    """Its status and what it is; empty where nothing is known."""
    size: int
    """Bytes on the disk."""
    used: bool
    """Whether the plan of the tables needs it, or a run that wrote none yet may: it is newer than they are."""


def entries(folder: Path, plugins: Iterable[Path] = (), data: Path | None = None) -> list[Entry]:
    """Everything in a results folder that could be removed by itself.

    Raises ``UserError`` where there are no tables, and ``ConfigError`` where their plan cannot be made here.
    """
    plan, store = _plan(folder, plugins, data), Store(folder)
    used, tables = _used(plan, store), (folder / "results.parquet").stat().st_mtime_ns
    found = []
    for kind in KINDS:
        for path in sorted(folder.glob(f"{kind}/*")):
            stats = [file.stat() for file in (path, *path.rglob("*")) if file.is_file()]
            newer = any(stat.st_mtime_ns > tables for stat in stats)
            needed = kind != QUARANTINE and (path in used or newer)
            found.append(Entry(kind, path, _words(path), sum(stat.st_size for stat in stats), needed))
    return found


def remove(gone: Iterable[Entry]) -> None:
    """Remove entries; only for who holds the lock of their folder."""
    for entry in gone:
        if entry.path.is_dir() and not entry.path.is_symlink():  # of a link, the link alone
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink(missing_ok=True)


def _plan(folder: Path, plugins: Iterable[Path], data: Path | None) -> Plan:
    """The plan of the latest tables, with the ids that it had then."""
    results = load(folder)
    provenance = results.provenance
    if not provenance.get("config"):
        raise UserError(f"{folder}: was not made from a benchmark file, so nothing tells what of it is used")
    files = Watched((data or DATA, Path(provenance.get("file", "")).parent, Path()))
    cells, name = wanted(results.table, Store(folder)), str(results.table["benchmark"].iloc[0])
    plan, _ = replan(name, provenance["config"], cells, of_run(provenance), Plugins(plugins), files)
    return plan


def _used(plan: Plan, store: Store) -> set[Path]:
    """The cells, fits, victims and badges of a plan. A fit belongs to its network, whatever defence asked for it."""
    cells = with_answers(plan, store)
    made_from = [plain(victim.fit_identity) for victim in plan.victims]
    used = {store.cell(cell.id).folder for cell in cells} | {store.victim(victim.id) for victim in plan.victims}
    used |= {store.health(health_id(cell.attack, cell.threat.norm)) for cell in cells}
    for record in store.folder.glob("fits/*/fit.json"):
        identity = dict(_told(record).get("identity", {}))
        identity.pop("key", None)
        if identity in made_from:
            used.add(record.parent)
    return used


def _words(path: Path) -> str:
    told = _told(path / "cell.json") | _told(path / "fit.json")
    parts = ("model", "labels", "defence", "attack")
    about = " · ".join(str(told["cell"][part]) for part in parts if part in told.get("cell", {}))
    return " ".join(filter(None, (str(told.get("status", "")), str(told.get("words", about)))))


def _told(path: Path) -> dict[str, Any]:
    """What a record says; nothing where there is none, or where it is damaged, which ``bench cache verify`` tells."""
    try:
        return (read_json(path) or {}) if path.parent.is_dir() else {}
    except DamagedError:
        return {}
