"""TOML in, plan out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..contracts import Files
from ..plugins import Plugins
from .build import Builder
from .document import read
from .plan import PROTOCOL, Cell, Component, Plan, Source, Victim, digest, victim_id
from .settings import settled
from .tables import Benchmark, ModelHost, Precision, ThreatTable, Training

DATA = Path("data")
"""The data folder where none is named."""

__all__ = [
    "PROTOCOL",
    "Benchmark",
    "Cell",
    "Component",
    "ModelHost",
    "Plan",
    "Precision",
    "Source",
    "ThreatTable",
    "Training",
    "Victim",
    "digest",
    "plan",
    "victim_id",
]


def plan(
    path: Path,
    plugins: Plugins,
    data: Path | None = None,
    overrides: Iterable[str] = (),
    only: Iterable[str] = (),
) -> Plan:
    """The plan of the benchmark file at ``path``; raises ``ConfigError`` with every mistake in it."""
    document = settled(read(path), overrides)
    return Builder(document, plugins, Files((data or DATA, path.parent, Path()))).plan(only)
