"""From a document to a plan, with every mistake found on the way."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..contracts import Files, MissingFile
from ..parameters import TableT, check, effective, keys, words
from ..plugins import PluginError, Plugins
from ..problems import ConfigError, Problem, suggest
from . import matrix
from .document import Document, Place
from .plan import Cell, Component, Plan, Source, Victim, fed, skip_reason
from .settings import unknown
from .sweep import swept
from .tables import AXES, Benchmark, Host, ModelHost, ThreatTable, Training

DEFAULTS: dict[str, list[dict[str, Any]]] = {
    "labels": [{"use": "labels.category"}],
    "defence": [{"use": "native.none"}],
}
"""What the axes hold that a file does not mention."""


@dataclass(frozen=True)
class Entry:
    """One entry of an axis: a component, with the source of its weights if it is a model, or a threat."""

    use: str
    label: str
    component: Component | None = None
    source: Source | None = None
    threat: ThreatTable | None = None


@dataclass
class Builder:
    """One pass over a document; mistakes gather in ``problems`` and are raised together."""

    document: Document
    plugins: Plugins
    files: Files
    problems: list[Problem] = field(default_factory=list)
    uses: dict[str, Counter[Any]] = field(default_factory=dict)
    """How many tables of each axis use each component, once ``axis`` has built it."""

    def plan(self, only: Iterable[str] = ()) -> Plan:
        """The plan; raises ``ConfigError`` with all mistakes."""
        patterns = matrix.only(only)
        tables = self.document.tables
        self.problems += (*self.document.problems, *unknown(self.document))
        benchmark = self._table(Benchmark, ("benchmark",), tables.get("benchmark", {}))
        training = self._table(Training, ("training",), tables.get("training", {}))
        axes = {axis: self.axis(axis) for axis in matrix.AXIS_ORDER}
        combinations = self._combinations(axes) if all(axes.values()) else []
        if benchmark and benchmark.fractions and "fraction" in (tables.get("training") or {}):
            self._problem(("training", "fraction"), "stands against benchmark.fractions; keep one of the two")
        if self.problems or benchmark is None or training is None:
            raise ConfigError(self.problems)
        chosen = [c for c in combinations if matrix.selected(c, patterns)]
        if not chosen:
            raise ConfigError([Problem(str(self.document.path), 0, "", "no cell is left after exclude and --only")])
        victims: dict[tuple[int, ...], Victim] = {}
        recipes = self._recipes(benchmark, training)
        cells = (
            _cell(c, seed, recipe, benchmark, victims) for c in chosen for recipe in recipes for seed in benchmark.seeds
        )
        path, settings = self.document.path, self.document.settings
        name = (benchmark.name or path.stem) + self.document.suffix
        return Plan(name, path, benchmark, fed(dict.fromkeys(cells)), self.files, tables, settings)

    @staticmethod
    def _recipes(benchmark: Benchmark, training: Training) -> list[Training]:
        """How networks are fitted: once for each of ``benchmark.fractions``."""
        return [training.model_copy(update={"fraction": one}) for one in benchmark.fractions or (training.fraction,)]

    def _problem(self, place: Place, message: str) -> None:
        self.problems.append(self.document.problem(place, message))

    def _table(self, table: type[TableT], place: Place, given: object) -> TableT | None:
        if not isinstance(given, Mapping):
            self._problem(place, f"must be a table, not {given!r}")
            return None
        checked, mistakes = check(table, given)
        for loc, message in mistakes:
            self._problem((*place, *loc), message)
        return checked

    def axis(self, axis: str) -> list[Entry]:
        """The entries of an axis, with labels that tell them apart."""
        given = self.document.tables.get(axis, DEFAULTS.get(axis))
        if not isinstance(given, list) or not given:
            state = "is missing" if given is None else "must be an array of tables" if given else "is empty"
            self._problem((axis,), f"the axis {state}: write at least one [[{axis}]]")
            return []
        tables: list[tuple[Place, object]] = [
            ((axis, n), one) for n, table in enumerate(given) for one in self._spread((axis, n), table)
        ]
        self.uses[axis] = Counter(one.get("use") for _, one in tables if isinstance(one, Mapping))
        entries = [self._entry(axis, place, one) for place, one in tables]
        built = [entry for entry in entries if entry is not None]
        for label, count in Counter(entry.label for entry in built).items():
            if count > 1:
                self._problem(
                    (axis,), f'{count} tables go by the name "{label}": make them differ, or give each a name'
                )
        return built

    def _spread(self, place: Place, given: object) -> Sequence[Any]:
        """The tables that one stands for."""
        try:
            return swept(given) if isinstance(given, Mapping) else [given]
        except ValueError as error:
            self._problem((*place, "sweep"), str(error))
            return []

    def _entry(self, axis: str, place: Place, given: object, alone: bool = True) -> Entry | None:
        """An entry of an axis; not ``alone``, it comes of a sweep that has others of its component."""
        if not isinstance(given, Mapping):
            self._problem(place, f"must be a table, not {given!r}")
            return None
        return self._threat(place, given) if axis == "threat" else self._component(axis, place, given, alone)

    def _threat(self, place: Place, given: Mapping[str, Any]) -> Entry | None:
        table = self._table(ThreatTable, place, given)
        if table is None:
            return None
        if mistake := table.problem():
            self._problem(place, mistake)
        aim = "" if table.goal == "untargeted" else f" targeted {table.targets}"
        known = "" if table.knowledge == "adaptive" else f" {table.knowledge}"
        return Entry(table.norm, table.name or f"{table.metric}{aim}{known}", threat=table)

    def _component(self, axis: str, place: Place, given: Mapping[str, Any], alone: bool) -> Entry | None:
        hosted = ModelHost if axis == "model" else Host
        own = {key: value for key, value in given.items() if key not in hosted.model_fields}
        host = self._table(hosted, place, {key: value for key, value in given.items() if key not in own})
        if host is None:
            return None
        try:
            plugin, factory = self.plugins.factory(AXES[axis], host.use)
        except PluginError as error:
            self._problem((*place, "use"), str(error))
            return None
        checked = self._table(keys(factory), place, own)
        if checked is None:
            return None
        values = {name: getattr(checked, name) for name in checked.model_fields_set}
        try:
            built = factory(**values)
        except (ValueError, TypeError) as error:
            self._problem(place, str(error))
            return None
        repeated = self.uses[axis][host.use] > 1 or not alone
        label = host.name or (f"{host.use}[{words(own)}]" if repeated and own else host.use)
        label += f" ({remark})" if (remark := getattr(built, "remark", "")) else ""
        identity = {
            "use": host.use,
            "parameters": effective(factory, built, values),
            "distribution": plugin.distribution,
            "version": plugin.version,
            "code": plugin.code,
        }
        component = Component(host.use, label, built, identity, plugin.unavailable)
        source = self._source(place, host) if isinstance(host, ModelHost) else None
        return Entry(host.use, label, component, source)

    def _source(self, place: Place, host: ModelHost) -> Source:
        if host.weights is None:
            if host.finetune or host.rename:
                self._problem(place, "finetune and rename are for a model with weights")
            return Source(host)
        try:
            path = self.files.find(host.weights)
            return Source(host, path, hashlib.sha256(path.read_bytes()).hexdigest())
        except (MissingFile, OSError) as error:
            self._problem((*place, "weights"), str(error))
            return Source(host)

    def _combinations(self, axes: Mapping[str, Sequence[Entry]]) -> list[dict[str, Entry]]:
        combinations = matrix.product(axes)
        for number, patterns in self._tables_of("exclude"):
            if self._axes_known(("exclude", number), patterns):
                kept = [c for c in combinations if not matrix.selected(c, patterns)]
                if len(kept) == len(combinations):
                    self._problem(
                        ("exclude", number),
                        "matches no cell; a name must be an entry's, or a pattern such as art.*",
                    )
                combinations = kept
        for number, given in self._tables_of("include"):
            if self._axes_known(("include", number), given):
                combinations += matrix.product(self._included(axes, number, given))
        return combinations

    def _tables_of(self, key: str) -> list[tuple[int, Mapping[str, Any]]]:
        given = self.document.tables.get(key, [])
        if not isinstance(given, list) or not all(isinstance(table, Mapping) and table for table in given):
            self._problem((key,), f"must be an array of tables: write [[{key}]] and name at least one axis")
            return []
        return list(enumerate(given))

    def _axes_known(self, place: Place, given: Mapping[str, Any]) -> bool:
        unknown = given.keys() - set(matrix.AXIS_ORDER)
        for axis in unknown:
            self._problem((*place, axis), f'unknown axis "{axis}"{suggest(axis, matrix.AXIS_ORDER)}')
        return not unknown

    def _included(
        self, axes: Mapping[str, Sequence[Entry]], number: int, given: Mapping[str, Any]
    ) -> dict[str, Sequence[Entry]]:
        """The axes of one ``[[include]]``: new entries, declared ones by pattern, or all where it is silent."""
        own: dict[str, Sequence[Entry]] = {}
        for axis, declared in axes.items():
            value, place = given.get(axis), ("include", number, axis)
            if value is None:
                own[axis] = declared
            elif isinstance(value, Mapping):
                tables = self._spread(place, value)
                entries = [(self._entry(axis, place, one, len(tables) == 1), one) for one in tables]
                own[axis] = [self._distinguished(entry, one, declared) for entry, one in entries if entry]
            else:
                own[axis] = [entry for entry in declared if matrix.matches(entry, value)]
                if not own[axis]:
                    self._problem(
                        place,
                        f"{value!r} matches no [[{axis}]]{suggest(str(value), (e.label for e in declared))}",
                    )
        return own

    @staticmethod
    def _distinguished(entry: Entry, given: Mapping[str, Any], declared: Sequence[Entry]) -> Entry:
        """The entry under a name of its own, where the axis holds another of the same component."""
        if entry.label not in {other.label for other in declared}:
            return entry
        own = {key: value for key, value in given.items() if key not in ModelHost.model_fields}
        label = f"{entry.label}[{words(own)}]"
        component = replace(entry.component, label=label) if entry.component else None
        return replace(entry, label=label, component=component)


def components(axis: str, tables: Sequence[Mapping[str, Any]], plugins: Plugins) -> list[Component]:
    """Components from tables alone, without a file; raises ``ConfigError``."""
    builder = Builder(Document(Path(), {axis: list(tables)}), plugins, Files())
    entries = builder.axis(axis)
    if builder.problems:
        raise ConfigError(builder.problems)
    return [entry.component for entry in entries if entry.component]


def _cell(
    entries: Mapping[str, Entry],
    seed: int,
    training: Training,
    benchmark: Benchmark,
    victims: dict[tuple[int, ...], Victim],
) -> Cell:
    """A cell; ``victims`` are those made so far, since an id is dear to compute."""
    parts = {axis: entry.component for axis, entry in entries.items() if entry.component}
    source, threat, attack = entries["model"].source, entries["threat"].threat, parts["attack"]
    assert source is not None
    assert threat is not None
    key = (*(id(entry) for axis, entry in entries.items() if axis not in ("attack", "threat")), id(training), seed)
    if key not in victims:
        axes = parts["dataset"], parts["model"], source, parts["labels"], parts["defence"]
        victims[key] = Victim(*axes, training, seed)
    victim = victims[key]
    skip = skip_reason(victim, attack, threat)
    samples, sampling, precision = benchmark.samples, benchmark.sampling, benchmark.precision
    return Cell(victim, attack, threat, samples, sampling, skip, precision=precision)
