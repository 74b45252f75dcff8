"""A results folder packed into one file: what its tables are made of, and what judges its images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ..contracts import Files
from ..parameters import plain
from ..plugins import Plugins
from ..problems import ConfigError, UserError
from ..results import TABLES, Results, Store, load, read_json, sha256
from ..spec import DATA, Plan
from ..victims import Victims
from .archive import ALLOWED, write_archive
from .manifest import Manifest, Member, parts_of
from .replan import Watched, member, of_run, replan, wanted, with_answers
from .rounding import rounded

SUFFIX = ".tiltyard.zip"
PACKED = 64 << 20
"""Bytes up to which label files are packed; of a larger one the verifier needs his own, with the same sha256."""


def pack(
    folder: Path,
    output: Path | None = None,
    *,
    uint8: bool = False,
    data: Path | None = None,
    plugins: Iterable[Path] = (),
) -> tuple[Path, Manifest]:
    """Pack the results of ``folder`` into ``output`` (``<name>.tiltyard.zip``); the same results give the same bytes.

    With ``uint8`` the images are rounded to 8-bit values and judged again, and the records are those of the rounded
    images. Raises ``UserError`` on results that could not be verified.
    """
    plan, checkpoints = _planned(load(folder), data, plugins)
    if uint8 and (behind := [cell for cell in plan.runnable if cell.threat.units == "normalised"]):
        raise UserError(
            f"{folder}: {len(behind)} cells have images in normalised units, which 8 bits can not hold; "
            "leave out --uint8"
        )
    store = Store(folder)
    victims = Victims(plan, store, torch.device("cpu"), lambda _: None, trains=False)
    labels = _label_files(plan, victims)
    known = {name: sha256(path) for name, path in (checkpoints | labels).items()}
    packed = checkpoints | {name: path for name, path in labels.items() if path.stat().st_size <= PACKED}
    members = dict(_members(plan, store)) | {member(name, known[name]): path for name, path in packed.items()}
    output = output or Path(f"{plan.name}{SUFFIX}")
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as temporary:
        lost = None
        if uint8:
            lost, members = rounded(plan, members, victims, Path(temporary))
        manifest = Manifest(
            name=plan.name,
            uint8=lost,
            parts=parts_of(plan),
            files=known,
            members={name: Member(sha256=sha256(path), size=path.stat().st_size) for name, path in members.items()},
        )
        write_archive(output, manifest, members)
    return output, manifest


def _planned(results: Results, data: Path | None, plugins: Iterable[Path]) -> tuple[Plan, dict[str, Path]]:
    """The plan that the results were made from, and the checkpoints that it names."""
    folder, provenance = results.folder, results.provenance
    if not provenance.get("config"):
        raise UserError(f"{folder}: was not made from a benchmark file, so there is no plan to verify it by")
    watched = Watched((data or DATA, Path(provenance.get("file", "")).parent, Path()))
    cells = wanted(results.table, Store(folder))
    name = str(results.table["benchmark"].iloc[0])
    try:
        plan, _ = replan(name, provenance["config"], cells, of_run(provenance), Plugins(plugins), watched)
    except ConfigError as error:
        raise UserError(f"{folder}: its configuration can not be planned here:\n{error}") from error
    if missing := cells.keys() - {cell.id for cell in with_answers(plan, Store(folder))}:
        raise UserError(
            f"{folder}: its configuration does not make {len(missing)} of its {len(cells)} cells; "
            "run it again with the components that are installed now"
        )
    if not plan.benchmark.keep_images:
        raise UserError(f"{folder}: has no images to verify; run it again with [benchmark] keep_images = true")
    return replace(plan, files=Files(watched.folders)), dict(watched.found)


def _label_files(plan: Plan, victims: Victims) -> dict[str, Path]:
    """The files that the label schemes read."""
    watched = Watched(plan.files.folders)
    pairs = {(cell.victim.labels, cell.victim.dataset): None for cell in plan.runnable}
    for labels, dataset in pairs:
        labels.object(victims.data(dataset).classes, watched)
    return {name: path for name, path in watched.found.items() if path.is_file()}


def _members(plan: Plan, store: Store) -> Iterator[tuple[str, Path]]:
    """The files of a results folder that belong to its latest tables, by the name of the member."""
    folder = store.folder
    found = [folder / name for name in ("schema.json", "provenance.json", "results.parquet")]
    found += [folder / f"{name}.csv" for name in TABLES]
    for cell in with_answers(plan, store):
        kept = store.cell(cell.id)
        found.append(kept.folder / "cell.json")
        if (kept.summary or {}).get("status") == "done":
            found += [kept.folder / "samples.parquet", *kept.images()]
    made_from = [plain(victim.fit_identity) for victim in plan.victims]
    for record in sorted(folder.glob("fits/*/fit.json")):
        identity = dict((read_json(record) or {}).get("identity", {}))
        identity.pop("key", None)
        if identity in made_from:
            found += [record, record.with_name("model.safetensors")]
    for victim in plan.victims:
        found += sorted(store.victim(victim.id).glob("*"))
    found += sorted((folder / "health").glob("*.json"))
    for path in found:
        name = path.relative_to(folder).as_posix()
        if path.is_file() and ALLOWED.fullmatch(name):
            yield name, path
