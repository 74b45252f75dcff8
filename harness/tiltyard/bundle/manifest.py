"""The first page of a bundle: what it is, which members it has, and what its plan was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import __version__
from ..contracts import declared
from ..parameters import Table, plain
from ..problems import UserError
from ..results import SCHEMA
from ..spec import PROTOCOL, Component, Plan

FORMAT = "tiltyard.bundle/1"
NAME = "manifest.json"


class Member(Table):
    """One file of a bundle."""

    sha256: str
    size: int


class Part(Table):
    """A component as the packer had it. The traits let an attack be recognised where its plugin is not installed."""

    identity: dict[str, Any]
    norms: tuple[str, ...] = ()
    minimal: bool = False
    access: str = ""
    remark: str = ""


class Rounded(Table):
    """What became of the images when they were rounded to 8-bit values."""

    images: int
    """Images that broke a victim before."""
    lost: int
    """Those that break it no more, or not at every eps that they did."""


class Manifest(Table):
    """``manifest.json``."""

    format: str = FORMAT
    tiltyard: str = __version__
    protocol: int = PROTOCOL
    results: int = SCHEMA
    name: str
    uint8: Rounded | None = None
    parts: dict[str, dict[str, Part]]
    """By axis and label."""
    files: dict[str, str]
    """Checkpoints and label files by the name the configuration gives them: sha256 of each."""
    members: dict[str, Member]

    def encoded(self) -> bytes:
        """As the content of ``manifest.json``."""
        return (json.dumps(self.model_dump(), indent=2, sort_keys=True) + "\n").encode()


def read_manifest(path: Path) -> Manifest:
    """The manifest at ``path``; raises ``UserError`` on one that this version can not judge."""
    try:
        content = json.loads(path.read_bytes())
        found = {key: content.get(key) for key in ("format", "protocol", "results")}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"the bundle has no manifest that can be read: {error}") from error
    here = {"format": FORMAT, "protocol": PROTOCOL, "results": SCHEMA}
    if found != here:
        raise UserError(
            f"the bundle was made by tiltyard {content.get('tiltyard')} ({_words(found)}), which judges or writes "
            f"otherwise than this one ({_words(here)}); verify it with that version"
        )
    try:
        return Manifest.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"the bundle's manifest is broken: {place}: {first['msg']}") from None


def parts_of(plan: Plan) -> dict[str, dict[str, Part]]:
    """The components of a plan by axis and label."""
    found: dict[str, dict[str, Part]] = {}
    for cell in plan.cells:
        for axis, component in cell.victim.parts.items():
            found.setdefault(axis, {})[component.label] = Part(identity=plain(component.identity))
        found.setdefault("attack", {})[cell.attack.label] = _attack(cell.attack)
    return found


def _attack(component: Component) -> Part:
    attack = component.object
    return Part(
        identity=plain(component.identity),
        norms=tuple(sorted(attack.norms)),
        minimal=bool(declared(attack, "minimal")),
        access=str(declared(attack, "access")),
        remark=getattr(attack, "remark", ""),
    )


def _words(versions: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in versions.items())
