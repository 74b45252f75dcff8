"""The plan of finished results, made again from their configuration with the components installed here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import masking
from ..contracts import Files, MissingFile
from ..masking import escalated
from ..plugins import Factory, Plugin, PluginError, Plugins
from ..problems import UserError
from ..results import Store, sha256
from ..spec import Cell, Component, Plan, Victim
from ..spec.build import Builder
from ..spec.document import Document
from ..spec.plan import fed
from .manifest import Manifest, Part

if TYPE_CHECKING:
    import pandas as pd

MADE_OF = ("distribution", "version", "code")
"""What of a component's identity may differ from machine to machine without changing what was recorded."""

Known = Callable[[str, Component], Mapping[str, Any] | None]
"""Axis and component to the identity that was recorded for it, or None where there is none."""


@dataclass(frozen=True)
class Watched(Files):
    """Files that remember what was found."""

    found: dict[str, Path] = field(default_factory=dict, compare=False)

    def find(self, name: str) -> Path:
        """The first existing file of that name, noted down."""
        path = self.found[name] = super().find(name)
        return path


@dataclass(frozen=True)
class BundledFiles(Files):
    """Checkpoints and label files as the packer had them; everything else from the own folders."""

    known: Mapping[str, str] = field(default_factory=dict, compare=False)
    packed: Path = Path()

    def find(self, name: str) -> Path:
        """The packed file of that name, or one's own, which must then have the recorded sha256."""
        digest = self.known.get(name)
        if digest is None:
            return super().find(name)
        inside = self.packed / member(name, digest)
        path = inside if inside.exists() else super().find(name)
        if sha256(path) != digest:
            raise MissingFile(f"{name}: the bundle needs the file with sha256 {digest}, and {path} is another")
        return path


def member(name: str, digest: str) -> str:
    """The member that holds a packed file: loaders go by the suffix."""
    return f"files/{digest}{Path(name).suffix}"


class RecordedPlugins(Plugins):
    """Installed plugins; attacks of plugins that are not here are stood in for, since none is called."""

    def __init__(self, files: Iterable[Path], attacks: Iterable[Part]) -> None:
        super().__init__(files)
        self._attacks: dict[str, list[Part]] = {}
        for part in attacks:
            self._attacks.setdefault(str(part.identity.get("use")), []).append(part)

    def factory(self, kind: str, use: str) -> tuple[Plugin, Factory]:
        """The factory that ``use`` names, or a stand-in for an attack that the bundle knows."""
        try:
            return super().factory(kind, use)
        except PluginError:
            if kind != "attacks" or use not in self._attacks:
                raise
        name = use.partition(".")[0]
        return Plugin(name, "recorded", "0", "", {}), _stand_in(use, self._attacks[use])


def _stand_in(use: str, parts: list[Part]) -> Factory:
    """Takes the keys that the attack takes, and cannot be called."""
    names = {key for part in parts for key in part.identity.get("parameters", {})}
    fields = [(name, Any, field(default=None)) for name in sorted(names)]
    traits = {
        "norms": frozenset(parts[0].norms),
        "targeted": True,
        "minimal": parts[0].minimal,
        "access": parts[0].access,
        "remark": parts[0].remark,
        "stands_in": True,
    }
    return make_dataclass(f"Recorded_{use.replace('.', '_')}", fields, frozen=True, namespace=traits)


def of_run(provenance: Mapping[str, Any]) -> Known:
    """The recorded identities of ``provenance.json``."""
    return lambda axis, component: provenance["components"].get(axis, {}).get(component.label)


def of_bundle(manifest: Manifest) -> Known:
    """The recorded identities of a bundle."""

    def known(axis: str, component: Component) -> Mapping[str, Any] | None:
        part = manifest.parts.get(axis, {}).get(component.label)
        return part.identity if part else None

    return known


def wanted(table: pd.DataFrame, store: Store) -> dict[str, str]:
    """The cells of ``results.parquet``, and the reason of those that were skipped when the matrix was planned."""
    rows = table.drop_duplicates("cell")
    if strange := [cell for cell in rows["cell"] if not re.fullmatch("[0-9a-f]{16}", cell)]:
        raise UserError(f"results.parquet: {strange[0]!r} is no id of a cell")
    return {
        cell: str(reason) if status == "skipped" and store.cell(cell).summary is None else ""
        for cell, status, reason in zip(rows["cell"], rows["status"], rows["reason"], strict=True)
    }


def replan(
    name: str, config: Mapping[str, Any], cells: Mapping[str, str], known: Known, plugins: Plugins, files: Files
) -> tuple[Plan, int]:
    """The plan of ``config``, cut down to ``cells`` (id to reason of skipping) and identified as it was recorded.

    A component is what it is here, but goes by the recorded distribution, version and code: so ids, which name the
    records and fits, are those of the run, and differ only where configuration or defaults do. Cells of ``cells``
    that the configuration does not make are missing; the number is that of the cells that it makes besides. Raises
    ``ConfigError`` and ``PluginError``.
    """
    made = Builder(Document(Path(f"{name}.toml"), dict(config)), plugins, files).plan()
    recorded = [_cell(cell, known) for cell in made.cells]
    asked = [replace(cell, skip=cells.get(cell.id, "")) for cell in recorded if cell.transfers or cell.id in cells]
    kept = tuple(replace(cell, skip=cells[cell.id]) for cell in fed(asked) if cell.id in cells)
    return replace(made, name=name, cells=kept), len(made.cells) - len(kept)


def with_answers(plan: Plan, store: Store) -> tuple[Cell, ...]:
    """The cells of a plan, and those by which the harness itself answered what it found in ``store``."""
    answers = escalated(plan, masking.Report(plan, store).judged) if plan.benchmark.escalate else ()
    return (*plan.cells, *answers)


def _cell(cell: Cell, known: Known) -> Cell:
    return replace(cell, victim=_victim(cell.victim, known), attack=_named("attack", cell.attack, known), sources=())


def _victim(victim: Victim, known: Known) -> Victim:
    return replace(
        victim,
        dataset=_named("dataset", victim.dataset, known),
        model=_named("model", victim.model, known),
        labels=_named("labels", victim.labels, known),
        defence=_named("defence", victim.defence, known) if victim.defence else None,
    )


def _named(axis: str, component: Component, known: Known) -> Component:
    """The component under its recorded identity; a stand-in has no other."""
    identity = known(axis, component)
    if identity is None:
        return component
    if getattr(component.object, "stands_in", False):
        return replace(component, identity=identity)
    return replace(component, identity=dict(component.identity) | {key: identity.get(key) for key in MADE_OF})


def other_code(manifest: Manifest, plugins: Plugins) -> list[str]:
    """The components whose code here is not the packer's, in words; attacks aside, since none is called."""
    kinds = {"dataset": "datasets", "model": "models", "labels": "label_schemes", "defence": "defences"}
    found: dict[str, list[str]] = {}
    for axis, kind in kinds.items():
        for part in manifest.parts.get(axis, {}).values():
            identity, use = part.identity, str(part.identity.get("use"))
            plugin, _ = plugins.factory(kind, use)
            if plugin.code != identity.get("code"):
                packed = f"{identity.get('distribution')} {identity.get('version')}"
                found.setdefault(f"{packed} there, {plugin.provenance} here", []).append(use)
    return [f"{', '.join(dict.fromkeys(uses))} ({versions})" for versions, uses in found.items()]
