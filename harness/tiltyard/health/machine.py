"""What a machine has for a benchmark: versions, devices, disk, data and plugins. Nothing is downloaded for it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..contracts import Dataset, Files
from ..parameters import keys
from ..plugins import Plugin, Plugins
from ..provenance import LIBRARIES


class _Stop(Exception):  # noqa: N818 - it ends a search, whose answer it holds
    """What a data set came to look for, or nothing where it would have begun a download."""

    def __init__(self, path: Path | None) -> None:
        self.path = path


class _Scout(Files):
    """Files that tell where a data set begins to read, and let it go no further."""

    def find(self, name: str) -> Path:
        """Ends the call with the path; raises ``MissingFile`` as ever."""
        raise _Stop(super().find(name))

    @property
    def data(self) -> Path:
        """Ends the call: only a download asks for this folder."""
        raise _Stop(None)


def machine(plugins: Plugins, data: Path, results: Path) -> dict[str, Any]:
    """The facts as JSON values: versions, threads, devices, disk, data and plugins."""
    return {
        "versions": dict(_versions()),
        "threads": torch.get_num_threads(),
        "devices": list(_devices()),
        "disk": {"folder": str(results), "free_bytes": _free(results)},
        "data": {"folder": str(data), "exists": data.is_dir(), "datasets": dict(_datasets(plugins, data))},
        "plugins": list(_plugins(plugins)),
    }


def _versions() -> Iterator[tuple[str, str]]:
    yield "tiltyard", __version__
    yield "python", platform.python_version()
    for name in LIBRARIES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _devices() -> Iterator[str]:
    yield f"cpu: {platform.processor() or platform.machine()}"
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            name = torch.cuda.get_device_name(number)
            yield f"cuda:{number}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"


def _free(folder: Path) -> int:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _plugins(plugins: Plugins) -> Iterator[dict[str, str]]:
    for name, found in plugins.everything():
        if not isinstance(found, Plugin):
            yield {"name": name, "from": "", "state": f"broken: {found}"}
        else:
            state = f"unavailable: {found.unavailable}" if found.unavailable else "fine"
            yield {"name": name, "from": found.provenance, "state": state}


def _datasets(plugins: Plugins, data: Path) -> Iterator[tuple[str, str]]:
    """What is known of each data set that needs no keys: where it begins, or that it is not here."""
    for name, found in plugins.everything():
        if isinstance(found, Plugin) and not found.unavailable:
            for short, factory in found.factories["datasets"].items():
                if not any(field.is_required() for field in keys(factory).model_fields.values()):
                    yield f"{name}.{short}", _whereabouts(factory(), data)


def _whereabouts(dataset: Dataset, data: Path) -> str:
    try:
        dataset(_Scout((data, Path())))
    except _Stop as stop:
        return f"found: {stop.path}" if stop.path else "not found; a run would download it"
    except FileNotFoundError:
        return "not found"
    except Exception as error:  # noqa: BLE001 - a plugin's code
        return f"broken: {type(error).__name__}: {error}"
    return "found: comes with an installed package"
