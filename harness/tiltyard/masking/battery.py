"""A small battery of attacks on a few samples of a victim: what the masking report looks at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..contracts import Attack, Batch, Classifier, Norm, Threat
from ..evaluator import evaluate
from ..plugins import Plugins
from ..results import VERDICTS
from ..spec import Component, digest
from ..spec.build import components
from ..victim import Victim
from .silent import Silent
from .structure import Structure, measure
from .trials import Family, Trial
from .watched import Watched

SAMPLES = 64
"""Samples on which the strongest attack is tried, if the victim gets so many right."""
FEW = 24
"""Samples on which everything else is tried."""
VERSION = 1
"""Raised when the probe itself changes: stored ones are then made again."""
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
"""Norms that the battery knows."""

BOX = math.inf
"""Stands for the radius from which the grey image can be reached, whatever the clean one."""


@dataclass(frozen=True)
class Step:
    """One attack of the battery: its table, and the part of eps that it is given."""

    name: str
    family: Family
    table: dict[str, Any]
    share: float = 1.0


STRONGEST = Step("20 steps", "white box", {"use": "native.pgd", "steps": 20})
BATTERY = (
    STRONGEST,
    Step("one step", "one step", {"use": "native.fgsm"}),
    Step("10 steps", "white box", {"use": "native.pgd", "steps": 10}),
    Step("10 steps on cross-entropy", "white box", {"use": "native.pgd", "steps": 10, "loss": "ce"}),
    Step("10 steps in the box", "white box", {"use": "native.pgd", "steps": 10}, BOX),
    Step("40 queries", "black box", {"use": "native.square", "queries": 40}),
)
GREY = Step("the grey image", "black box", {}, BOX)
TRANSFER = Step("transfer", "transfer", {"use": "native.transfer"})


@dataclass(frozen=True)
class Probe:
    """The structure of a victim and what the battery did to it, under one norm at one eps.

    ``silent`` is what the attacks of a study gave away, where there is a study.
    """

    norm: Norm
    eps: float
    structure: Structure
    trials: tuple[Trial, ...]
    silent: tuple[Silent, ...] = ()

    def json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, content: dict[str, Any]) -> Probe:
        """From ``json()``."""
        trials = tuple(Trial.read(trial) for trial in content["trials"])
        silent = tuple(Silent.read(one) for one in content["silent"])
        return cls(content["norm"], content["eps"], Structure(**content["structure"]), trials, silent)

    def trial(self, name: str) -> Trial | None:
        """The trial of that name, if it was made; at the probe's eps where it was made at several."""
        return next((trial for trial in self.trials if trial.name == name), None)

    def at(self, eps: float) -> list[Trial]:
        """The trials at a radius."""
        return [trial for trial in self.trials if math.isclose(trial.eps, eps)]


def probe(
    classifier: Classifier,
    batch: Batch,
    norm: Norm,
    eps: float,
    radii: Sequence[float] = (),
    seconds: float = math.inf,
    plugins: Plugins | None = None,
) -> Probe:
    """Probe a classifier on samples it gets right, about 100 forwards and backwards for each.

    Samples that other victims' images are known for (``batch.found``) are tried with those as well. ``radii`` are
    further eps at which ``STRONGEST`` alone is tried, half of ``eps`` if there are none; ``seconds`` is what one
    attack may take.
    """
    structure = measure(classifier, batch)
    watched = Watched(classifier)
    steps = (*BATTERY, TRANSFER) if batch.found else BATTERY
    others = [radius / eps for radius in radii if radius != eps] or [0.5]
    steps = (*steps, *(replace(STRONGEST, share=share) for share in others))
    attacks = [attack.object for attack in _attacks(steps, plugins or Plugins())]
    few = batch[torch.linspace(0, len(batch) - 1, min(FEW, len(batch)), device=batch.x.device).long()]
    trials = [
        _trial(watched, step, attack, batch if step.name == STRONGEST.name else few, norm, eps, seconds)
        for step, attack in zip((*steps, GREY), (*attacks, Grey()), strict=True)
    ]
    structure = replace(
        structure, undefined=structure.undefined + watched.undefined, asked=structure.asked + watched.asked
    )
    return Probe(norm, eps, structure, tuple(trials))


def _trial(
    classifier: Classifier, step: Step, attack: Attack, batch: Batch, norm: Norm, eps: float, seconds: float
) -> Trial:
    radius = box(norm, batch.x[0].numel()) if step.share == BOX else step.share * eps
    records = evaluate(classifier, attack, batch, (Threat(norm, radius),), (radius,), seconds=seconds).records
    records = records[records["correct"]]
    reasons = records.loc[~records["status"].isin(list(VERDICTS)), "reason"]
    return Trial(
        step.name,
        step.family,
        radius,
        tuple(records["sample"].tolist()),
        tuple(records.loc[records["left_class"], "sample"].tolist()),
        None if reasons.empty else str(reasons.iloc[0]),
    )


@dataclass(frozen=True)
class Grey:
    """The grey image, which is of one class: every sample of another class can be broken within ``box``."""

    norms: ClassVar[frozenset[Norm]] = frozenset(NORMS)

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Grey images (N, C, H, W)."""
        return torch.full_like(batch.x, 0.5)


def box(norm: Norm, values: int) -> float:
    """The radius of the ball around any image of so many values that holds the grey one."""
    return {"linf": 0.5, "l2": 0.5 * math.sqrt(values), "l1": 0.5 * values, "l0": float(values)}[norm]


def battery_identity(plugins: Plugins) -> str:
    """Hash of everything that decides what a probe does, but for the victim and its samples."""
    steps = (*BATTERY, TRANSFER)
    return digest(
        [VERSION, SAMPLES, FEW, [a.identity for a in _attacks(steps, plugins)], [repr(step) for step in steps]]
    )


def _attacks(steps: Sequence[Step], plugins: Plugins) -> list[Component]:
    return components("attack", [step.table | {"name": str(n)} for n, step in enumerate(steps)], plugins)
