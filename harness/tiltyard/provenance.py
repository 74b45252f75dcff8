"""Where and with what a run was made."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from . import __version__
from .parameters import plain
from .spec import Plan, digest

LIBRARIES = ("torch", "torchvision", "numpy", "pandas", "adversarial-robustness-toolbox", "torchattacks")


def provenance(plan: Plan, device: str, data: Mapping[str, str]) -> dict[str, Any]:
    """Versions, device, plugins, data digests and the configuration of a run."""
    return {
        "tiltyard": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "git": _revision(plan.path.parent),
        "command": sys.argv[1:],
        "file": str(plan.path),
        "plan": plan_digest(plan),
        "data_sha256": dict(data),
        "components": _components(plan),
        "settings": dict(plan.settings),
        "config": plain(plan.config),
    }


def _components(plan: Plan) -> dict[str, dict[str, Any]]:
    """The identity of every component, by axis and label."""
    found: dict[str, dict[str, Any]] = {}
    for cell in plan.cells:
        for axis, part in cell.parts.items():
            found.setdefault(axis, {})[part.label] = plain(part.identity)
    return found


def plan_digest(plan: Plan) -> str:
    """Hash of everything that the tables of a plan show."""
    cells = [[cell.id, cell.victim.words, cell.attack.label, cell.skip] for cell in plan.cells]
    return digest([cells, plan.benchmark.doctor, plan.benchmark.masking, plan.benchmark.escalate])


def device_name(device: Any) -> str:
    """The device in words."""
    import torch

    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _revision(folder: Path) -> str | None:
    """The git revision of the benchmark's folder, marked where files have changed since."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
