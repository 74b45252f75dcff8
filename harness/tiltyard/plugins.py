"""Plugins: entry points to factories, loaded by name, with provenance, each broken one on its own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .problems import UserError, suggest

KINDS = ("datasets", "models", "label_schemes", "defences", "attacks")

Factory = Callable[..., Any]


class PluginError(UserError):
    """A plugin that cannot be used; the message says which, why, and the way out."""


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin: where it comes from, and its factories by kind and short name."""

    name: str
    distribution: str
    version: str
    code: str
    """Digest of its source files: a changed attack is another attack."""
    factories: Mapping[str, Mapping[str, Factory]]
    unavailable: str = ""
    """Why none of its components can run here (a missing library and its install line), or nothing."""

    @property
    def provenance(self) -> str:
        """Distribution and version, in words."""
        return f"{self.distribution} {self.version}"


class Plugins:
    """The installed plugins, and single files given as ``--plugin``, by the first part of a component's name."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._points: dict[str, list[metadata.EntryPoint]] = {}
        for point in metadata.entry_points(group=hookspecs.GROUP):
            self._points.setdefault(point.name, []).append(point)
        self._files = {_file_name(path): path for path in files}
        self._loaded: dict[str, Plugin] = {}
        if clash := self._files.keys() & self._points.keys():
            raise PluginError(f"--plugin {self._files[min(clash)]}: an installed plugin is called {min(clash)} already")

    @cached_property
    def names(self) -> list[str]:
        """Names of all plugins, known from metadata alone."""
        return sorted(self._points.keys() | self._files.keys())

    def load(self, name: str) -> Plugin:
        """The plugin of that name, imported on first use; raises ``PluginError``."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def factory(self, kind: str, use: str) -> tuple[Plugin, Factory]:
        """The factory that ``plugin.component`` names; raises ``PluginError`` with the choices."""
        name, _, short = use.partition(".")
        if name not in self.names:
            raise PluginError(f'unknown plugin "{name}"{suggest(name, self.names)}')
        plugin = self.load(name)
        known = plugin.factories[kind]
        if short not in known:
            choices = [f"{name}.{other}" for other in known]
            raise PluginError(f'{name} has no "{short}" among its {kind.replace("_", " ")}{suggest(use, choices)}')
        return plugin, known[short]

    def everything(self) -> Iterator[tuple[str, Plugin | PluginError]]:
        """Every plugin by name, or the reason why it cannot be loaded."""
        for name in self.names:
            try:
                yield name, self.load(name)
            except PluginError as error:
                yield name, error

    def _load(self, name: str) -> Plugin:
        if name in self._files:
            path = self._files[name]
            code = _digest([path])
            return _plugin(name, lambda: _import_file(name, path), f"file {path.name}", code[:12], code)
        points = self._points[name]
        if len(points) > 1:
            claims = " and ".join(sorted(_distribution(point)[0] for point in points))
            raise PluginError(f'the distributions {claims} both claim the plugin name "{name}"; uninstall one of them')
        distribution, version = _distribution(points[0])
        return _plugin(name, points[0].load, distribution, version, _package_digest(points[0].module))


def _plugin(name: str, load: Callable[[], object], distribution: str, version: str, code: str) -> Plugin:
    origin = f"plugin {name} ({distribution} {version})"
    try:
        module = load()
    except Exception as error:
        raise PluginError(f"{origin} cannot be imported: {type(error).__name__}: {error}") from error
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{origin}: {error} (hooks: {', '.join(KINDS)})") from error
    factories: dict[str, Mapping[str, Factory]] = {}
    for kind in KINDS:
        try:
            factories[kind] = dict(next(iter(getattr(manager.hook, kind)()), {}))
        except Exception as error:
            raise PluginError(f"{origin}: hook {kind} raised {type(error).__name__}: {error}") from error
    missing = [f"{needed} is not installed; {way}" for needed, way in _requires(module) if not _installed(needed)]
    return Plugin(name, distribution, version, code, factories, "; ".join(missing))


def _requires(module: object) -> Iterable[tuple[str, str]]:
    """What a plugin module declares as ``requires``: distribution name to install line."""
    requires: Mapping[str, str] = getattr(module, "requires", {})
    return requires.items()


def _installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _distribution(point: metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "0")


def _file_name(path: Path) -> str:
    if not path.is_file():
        raise PluginError(f"--plugin {path}: no such file")
    if not path.stem.isidentifier():
        raise PluginError(
            f"--plugin {path}: rename the file; {path.stem!r} cannot be the first part of a component's name"
        )
    return path.stem


def _import_file(name: str, path: Path) -> ModuleType:
    unique = f"tiltyard_file_{name}"
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses and type hints look their module up by name
    spec.loader.exec_module(module)
    return module


def _package_digest(module: str) -> str:
    spec = importlib.util.find_spec(module.partition(".")[0])
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    files = [path for folder in folders for path in folder.rglob("*.py")]
    if not files and spec and spec.origin:
        files = [Path(spec.origin)]
    return _digest(files)


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
