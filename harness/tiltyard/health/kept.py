"""The health of attacks in a results folder: checked once, kept in a file, read by the tables."""

from __future__ import annotations

from ..contracts import Norm
from ..results import Store, read_json, write_json
from ..spec import Component
from ..spec.plan import digest
from .check import SECONDS, Finding, Health, check
from .properties import PROPERTIES

CHECKS = 2
"""Raised whenever the properties change: attacks are then checked anew."""


def health_id(attack: Component, norm: Norm) -> str:
    """Hash of all that decides the health of an attack: its code and parameters, the norm, and the checks."""
    return digest({"checks": CHECKS, "attack": attack.identity, "norm": norm})


def badge(store: Store, attack: Component, norm: Norm) -> str | None:
    """The badge of an attack under a norm (``Health.badge``), or None where it was not checked."""
    found = read_json(store.health(health_id(attack, norm)))
    return None if found is None else str(found["badge"])


def examine(store: Store, attack: Component, norm: Norm, seconds: float = SECONDS) -> str:
    """Check an attack under a norm and keep what is found; returns the badge."""
    found = check(attack.object, norm, seconds)
    write_json(store.health(health_id(attack, norm)), {"attack": attack.label} | found.plain())
    return found.badge


def keep_crash(store: Store, attack: Component, norm: Norm, reason: str) -> str:
    """Keep that the checks of an attack took their process down; returns the badge."""
    found = Health(norm, (Finding(PROPERTIES[0].name, "failed", reason, gates=True, known=False),), {}, 0.0)
    write_json(store.health(health_id(attack, norm)), {"attack": attack.label} | found.plain())
    return found.badge
