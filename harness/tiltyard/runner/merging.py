"""The results of shards brought together in one folder."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..bundle.replan import Watched, of_run, replan, wanted
from ..plugins import Plugins
from ..problems import UserError
from ..results import CellFolder, Results, Store, load, read_json
from ..spec import DATA, Plan
from ..tabulate import tables

RANK = {None: 0, "failed": 1, "skipped": 2, "done": 3}
"""Of two records of a cell, the one that came further is kept."""


def merge(out: Path, folders: Sequence[Path], plugins: Iterable[Path] = (), data: Path | None = None) -> Counter[str]:
    """Copy what the shards in ``folders`` have recorded into ``out`` and write its tables; the statuses of all cells.

    ``out`` may hold results of the same plan already. Raises ``UserError`` where the folders belong to different
    plans, where one is still being written, and where a network was trained in two of them and came out different.
    """
    parts = [load(folder) for folder in folders]
    first = parts[0].provenance
    there = read_json(out / "provenance.json")
    for folder, other in [*((part.folder, part.provenance) for part in parts), *([(out, there)] if there else [])]:
        if other["plan"] != first["plan"]:
            raise UserError(
                f"{folder}: belongs to another plan than {folders[0]}: the benchmark file, its overrides or a plugin "
                "differ; merge the shards of one command alone"
            )
    store = Store(out)
    with contextlib.ExitStack() as locks:
        for one in (store, *map(Store, folders)):
            locks.enter_context(one.locked())
        for folder in folders:
            _unite(Store(folder), store)
        plan = _plan(parts[0], store, plugins, data)
        devices = ", ".join(dict.fromkeys(str(part.provenance["device"]) for part in parts))
        hashes = {name: digest for part in parts for name, digest in part.provenance["data_sha256"].items()}
        told = {"device": devices, "data_sha256": hashes, "command": sys.argv[1:], "merged": list(map(str, folders))}
        store.write_tables(tables(plan, store), {**first, **told})
    rows = load(out).table.drop_duplicates("cell")
    return Counter(map(str, rows["status"]))


def _plan(part: Results, store: Store, plugins: Iterable[Path], data: Path | None) -> Plan:
    """The plan of the shards, with the components as they were when it was run."""
    told = part.provenance
    if not told.get("config"):
        raise UserError(f"{part.folder}: was not made from a benchmark file, so it is no shard of one")
    files = Watched((data or DATA, Path(told["file"]).parent, Path()))
    name = str(part.table["benchmark"].iloc[0])
    cells = wanted(part.table, store)
    plan, _ = replan(name, told["config"], cells, of_run(told), Plugins(plugins), files)
    return plan


def _unite(source: Store, target: Store) -> None:
    """Copy the cells, fits and findings that the target does not have, or not as far."""
    for cell in sorted(source.folder.glob("cells/*")):
        if _came_to(cell) > _came_to(target.cell(cell.name).folder):
            _copy(cell, target.cell(cell.name).folder)
    for fit in sorted(source.folder.glob("fits/*/fit.json")):
        _take_fit(fit.parent, target.fit(fit.parent.name))
    for pattern in ("victims/*/*", "health/*"):
        for path in sorted(source.folder.glob(pattern)):
            if not (own := target.folder / path.relative_to(source.folder)).exists():
                _copy(path, own)


def _came_to(cell: Path) -> int:
    summary = CellFolder(cell).summary
    return RANK[summary["status"] if summary else None]


def _take_fit(fit: Path, own: Path) -> None:
    told, known = read_json(fit / "fit.json") or {}, read_json(own / "fit.json")
    if known is None:
        _copy(fit, own)
    elif known["sha256"] != told["sha256"]:
        raise UserError(
            f"{fit} and {own} are one network ({told['words']}) trained twice, and differ: records of both can not "
            "stand in one table; remove the one that is not wanted with the cells attacked on it"
        )


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.merging")
    shutil.rmtree(temporary, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, temporary)
        shutil.rmtree(target, ignore_errors=True)
    else:
        shutil.copy2(source, temporary)
    temporary.replace(target)
