"""What a benchmark comes to: victims to be trained, cells to be run, each with an id that is a hash of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..contracts import Files, Setting, Threat, declared
from ..parameters import plain
from .tables import Benchmark, ModelHost, Precision, ThreatTable, Training

PROTOCOL = 2
"""Raised whenever the harness comes to judge differently: older records are then no longer reused."""

SURROGATE_SEED = 1_000_003
"""Added to the seed of a victim to get the seed of the network that transfer attacks are crafted on."""


def digest(content: Any) -> str:
    """Sixteen hexadecimal digits that stand for a JSON value."""
    canonical = json.dumps(plain(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Component:
    """A component of the plan: the object, its name in tables, and what identifies it."""

    use: str
    label: str
    object: Any = field(compare=False)
    identity: Mapping[str, Any]
    """Name, effective parameters, distribution, version and code digest."""
    unavailable: str = ""
    """Why it cannot run here: a missing library and its install line."""

    @property
    def provenance(self) -> str:
        """Distribution and version, in words."""
        return f"{self.identity['distribution']} {self.identity['version']}"

    def __hash__(self) -> int:
        return hash(digest(self.identity))


@dataclass(frozen=True)
class Source:
    """Where a model's weights come from, if they are not trained from scratch, and its input normalisation."""

    host: ModelHost
    weights: Path | None = None
    sha256: str = ""

    @property
    def trained(self) -> bool:
        """Whether the harness fits the network."""
        return self.weights is None or self.host.finetune

    @property
    def identity(self) -> dict[str, Any]:
        """What of it changes the network."""
        kept = self.host.model_dump(exclude={"use", "name", "weights"})
        return kept | {"weights": self.sha256}


@dataclass(frozen=True)
class Victim:
    """What must be trained: one network, or a family of them under one defence."""

    dataset: Component
    model: Component
    source: Source
    labels: Component
    defence: Component | None
    """None is the undefended network, on which oblivious and transfer attacks are crafted."""
    training: Training
    seed: int

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def parts(self) -> dict[str, Component]:
        """The components by axis."""
        parts = {"dataset": self.dataset, "model": self.model, "labels": self.labels}
        return parts | ({"defence": self.defence} if self.defence else {})

    @cached_property
    def fit_identity(self) -> dict[str, Any]:
        """What identifies a fit of its network, whatever the defence makes of it."""
        return {
            "dataset": self.dataset.identity,
            "model": self.model.identity,
            "source": self.source.identity,
            "labels": self.labels.identity,
            "training": self.training.identity,
            "seed": self.seed,
        }

    @property
    def fit_id(self) -> str:
        """The folder of the fit of its undefended network."""
        return fit_id(self, "")

    @cached_property
    def id(self) -> str:
        """Hash of everything that decides what the victim is."""
        return victim_id(self.fit_identity, self.defence.identity if self.defence else None)

    @property
    def network_words(self) -> str:
        """The undefended network in a line."""
        share = "" if self.training.fraction == 1 else f" · {self.training.fraction:.3g} of the data"
        return f"{self.dataset.label} · {self.model.label} · {self.labels.label} · seed {self.seed}{share}"

    @property
    def words(self) -> str:
        """The victim in a line."""
        return f"{self.network_words} · {self.defence.label if self.defence else 'undefended'}"


def fit_id(victim: Victim, key: str) -> str:
    """The folder of a fit of a victim's network, ``key`` naming the objective where a defence has its own."""
    return digest(victim.fit_identity | {"key": key})


def victim_id(fit: Mapping[str, Any], defence: Mapping[str, Any] | None) -> str:
    """The id of the victim that a defence, by its identity, makes of a network, by that of its fit."""
    return digest({**fit, "defence": defence})


@dataclass(frozen=True)
class Cell:
    """What must be run: an attack on a victim under a threat, on a number of samples."""

    victim: Victim
    attack: Component
    threat: ThreatTable
    samples: int
    sampling: str
    skip: str = ""
    """Why the cell cannot be run, if it cannot."""
    sources: tuple[Cell, ...] = ()
    """The cells whose images a transfer attack tries on this victim: they are run before."""
    precision: Precision = "full"

    def __hash__(self) -> int:
        return hash(self.id)

    @cached_property
    def id(self) -> str:
        """Hash of everything that decides the records."""
        threat = self.threat.model_dump(exclude={"name"} | ({"units"} if self.threat.units == "pixels" else set()))
        return digest(
            {
                "protocol": PROTOCOL,
                "victim": self.victim.id,
                "attack": self.attack.identity,
                "threat": threat,
                "samples": [self.samples, self.sampling],
                "sources": [source.id for source in self.sources],
            }
            | ({} if self.precision == "full" else {"precision": self.precision})
        )

    @property
    def parts(self) -> dict[str, Component]:
        """The components by axis."""
        return {**self.victim.parts, "attack": self.attack}

    @property
    def transfers(self) -> bool:
        """Whether the attack takes images that broke other victims."""
        return bool(declared(self.attack.object, "access") == "images")

    def fed_by(self, other: Cell) -> bool:
        """Whether the images of another cell are of use to this one: another victim, the same samples and aim."""
        return (
            not (other.skip or other.transfers)
            and other.victim != self.victim
            and other.victim.dataset == self.victim.dataset
            and (other.samples, other.sampling) == (self.samples, self.sampling)
            and (other.threat.norm, other.threat.goal) == (self.threat.norm, self.threat.goal)
            and other.threat.units == self.threat.units
            and (self.threat.goal == "untargeted" or other.threat.targets == self.threat.targets)
        )

    @property
    def surrogate(self) -> Victim | None:
        """The victim that the attacker sees instead of this one."""
        if self.threat.knowledge == "adaptive":
            return None
        undefended = replace(self.victim, defence=None)
        if self.threat.knowledge == "oblivious":
            return undefended
        return replace(undefended, seed=self.victim.seed + SURROGATE_SEED)

    @property
    def threats(self) -> tuple[Threat, ...]:
        """The budgets to call the attack with: each eps, or, for a minimal-norm attack, none."""
        threat = self.threat
        plain_threat = Threat(threat.norm, goal=threat.goal, knowledge=threat.knowledge, units=threat.units)
        if declared(self.attack.object, "minimal"):
            return (plain_threat,)
        return tuple(replace(plain_threat, eps=eps) for eps in self.threat.eps)

    def passes(self, classes: int | None = None) -> tuple[int, int] | None:
        """Forwards and backwards to be spent at most, where the attack and the data set tell.

        ``classes`` is the number of classes where it is known from elsewhere.
        """
        count: Callable[[int], tuple[int, int]] | None = getattr(self.attack.object, "passes", None)
        classes = classes or self.victim.dataset.object.classes
        if count is None or classes is None:
            return None
        forwards, backwards = count(classes)
        targets = classes - 1 if self.threat.goal == "targeted" and self.threat.targets == "all" else 1
        calls = self.samples * len(self.threats) * targets
        return forwards * calls, backwards * calls


@dataclass(frozen=True)
class Plan:
    """All cells of a benchmark, in order."""

    name: str
    path: Path
    benchmark: Benchmark
    cells: tuple[Cell, ...]
    files: Files
    config: Mapping[str, Any]
    """The merged tables as they were read, the overlays of settings laid over them."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What each setting of the file was chosen to be."""

    @property
    def runnable(self) -> tuple[Cell, ...]:
        """The cells that are not skipped."""
        return tuple(cell for cell in self.cells if not cell.skip)

    def dataset_label(self, victim: Victim) -> str:
        """The data set by its name in tables, of several ``fractions`` with that of the victim.

        Networks that saw more are no fair company: every table keeps data sets apart, and so these.
        """
        share = f" at {victim.training.fraction:.3g}" if len(self.benchmark.fractions or ()) > 1 else ""
        return victim.dataset.label + share

    @property
    def victims(self) -> tuple[Victim, ...]:
        """The victims of the runnable cells and those that their attackers see, each once, in order."""
        wanted = (v for cell in self.runnable for v in (cell.victim, cell.surrogate) if v is not None)
        return tuple(dict.fromkeys(wanted))


def fed(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The cells, those of transfer attacks with their sources; skipped where there are none."""
    cells = tuple(cells)
    return tuple(_with_sources(cell, cells) if cell.transfers and not cell.skip else cell for cell in cells)


def _with_sources(cell: Cell, cells: Iterable[Cell]) -> Cell:
    sources = tuple(other for other in cells if cell.fed_by(other))
    skip = "" if sources else "no attack of the plan on another victim has images to transfer"
    return replace(cell, sources=sources, skip=skip)


def skip_reason(victim: Victim, attack: Component, threat: ThreatTable) -> str:
    """Why this combination cannot be run, or nothing."""
    for part in (victim.dataset, victim.model, victim.labels, victim.defence, attack):
        if part and part.unavailable:
            return part.unavailable
    if unfit := _out_of_reach(victim, attack, threat):
        return unfit
    setting = Setting(
        dataset=victim.dataset.object,
        model=victim.model.object,
        labels=victim.labels.object,
        defence=victim.defence.object if victim.defence else None,
        attack=attack.object,
        norm=threat.norm,
        goal=threat.goal,
        trained=victim.source.trained,
    )
    for part in (victim.dataset, victim.model, victim.labels, victim.defence, attack):
        if part and (reason := getattr(part.object, "refuse", lambda _: None)(setting)):
            return f"{part.use}: {reason}"
    return ""


def _out_of_reach(victim: Victim, attack: Component, threat: ThreatTable) -> str:
    """Why the attack cannot be what the threat is, or nothing."""
    norms: frozenset[str] = attack.object.norms
    if threat.norm not in norms:
        return f"{attack.use} works under {', '.join(sorted(norms))}, not {threat.norm}"
    units: frozenset[str] = declared(attack.object, "units")
    if threat.units not in units:
        return f"{attack.use} works in units of {', '.join(sorted(units))}, not {threat.units}"
    if threat.units == "normalised" and victim.source.host.normalise == "none":
        return f"{victim.model.use} does not normalise its input, so there are no normalised units"
    if threat.goal == "targeted" and not declared(attack.object, "targeted"):
        return f"{attack.use} has no targeted mode"
    if threat.knowledge == "transfer" and not victim.source.trained:
        return "the weights are given, so there is no second network to craft transfer attacks on"
    return ""
