"""What a plan costs on an accelerator: floating-point operations, and hours at a rate that one believes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from .contracts import Files, MissingFile, Outline
from .spec import Cell, Plan, Training, Victim

KnownT = TypeVar("KnownT", Outline, float)

TFLOPS = 5.0
"""Sustained rate of small networks in float32 on a data-centre GPU, in TFLOP/s; docs/benchmarks.md tells whence."""

BACKWARD = 2
"""Forwards that a gradient of the weights costs, beside the forward itself; one of the image alone costs one."""


@dataclass(frozen=True)
class Cost:
    """Floating-point operations, at most, and why some could not be counted, each reason with how often."""

    training: float = 0.0
    attacking: float = 0.0
    unknown: Mapping[str, int] = field(default_factory=dict)

    def hours(self, tflops: float) -> tuple[float, float]:
        """Hours of training and of attacking at so many TFLOP/s."""
        return self.training / tflops / 3.6e15, self.attacking / tflops / 3.6e15


def cost(plan: Plan) -> Cost:
    """What training and attacking come to; health checks, probes and verdicts are not counted."""
    counter = _Counter(plan.files)
    training = sum(counter.guarded(_fit, victim) for victim in fits(plan).values())
    attacking = sum(counter.guarded(_search, cell) for cell in plan.runnable)
    return Cost(training, attacking, dict(counter.unknown))


def fits(plan: Plan) -> dict[Any, Victim]:
    """A victim for each network to be trained: each undefended one once, and what defences train of their own."""
    found: dict[Any, Victim] = {}
    for victim in plan.victims:
        if victim.source.trained:
            own: int = getattr(victim.defence.object, "fits", 0) if victim.defence else 0
            for number in range(own):
                found[victim.id, number] = victim
            if not own:
                found.setdefault(victim.fit_id, victim)
    return found


@dataclass
class _Counter:
    """Forwards counted once for each network; what cannot be counted gathers in ``unknown``."""

    files: Files
    unknown: dict[str, int] = field(default_factory=dict)
    _forwards: dict[Any, float | str] = field(default_factory=dict)
    _outlines: dict[Any, Outline | str] = field(default_factory=dict)

    def guarded(self, count: Any, thing: Victim | Cell) -> float:
        """What ``count`` says of a thing, or nothing where it cannot be known."""
        try:
            return float(count(self, thing))
        except _Unknown as unknown:
            self.unknown[str(unknown)] = self.unknown.get(str(unknown), 0) + 1
            return 0.0

    def outline(self, victim: Victim) -> Outline:
        """What is known of the data set before it is read."""
        found = self._outlines.get(victim.dataset)
        if found is None:
            found = self._outlines[victim.dataset] = _outline(victim, self.files)
        return _known(found)

    def forward(self, victim: Victim) -> float:
        """Operations of one forward of one image through the undefended network."""
        key = victim.dataset, victim.model, victim.labels
        if key not in self._forwards:
            self._forwards[key] = _forward(victim, self.outline(victim), self.files)
        return _known(self._forwards[key])


class _Unknown(Exception):  # noqa: N818 - it is no error of anybody's
    """Something that cannot be counted before the run, with the reason."""


def _known(found: KnownT | str) -> KnownT:
    if isinstance(found, str):
        raise _Unknown(found)
    return found


def _outline(victim: Victim, files: Files) -> Outline | str:
    outline = getattr(victim.dataset.object, "outline", None)
    if outline is None:
        return f"{victim.dataset.use} does not tell its size before it is read"
    try:
        found: Outline = outline(files)
    except (MissingFile, ValueError) as error:
        return f"{victim.dataset.use}: {error}"
    return found


def _forward(victim: Victim, outline: Outline, files: Files) -> float | str:
    """Counted on the meta device, where nothing is computed; a reason where that does not work."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        scheme = victim.labels.object(outline.classes, files)
        with torch.device("meta"):
            network = victim.model.object(outline.shape, scheme.head).eval()
            image = torch.zeros(1, *outline.shape)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(image)
    except Exception as error:  # noqa: BLE001 - foreign code: a plan must not fail for want of an estimate
        return f"{victim.model.use} with {victim.labels.use}: {error}"
    return float(counter.get_total_flops())


def _fit(counter: _Counter, victim: Victim) -> float:
    """One training: three forwards for each image of each epoch, and one for each held-out image."""
    recipe, images = victim.training, counter.outline(victim).train
    return (
        counter.forward(victim) * recipe.epochs * ((1 + BACKWARD) * _seen(recipe, images) + recipe.validation * images)
    )


def _seen(recipe: Training, images: int) -> float:
    """Images of one epoch."""
    return (1 - recipe.validation) * (1 if recipe.full_epochs else recipe.fraction) * images


def _search(counter: _Counter, cell: Cell) -> float:
    """The passes of one cell through what its attacker sees."""
    passes = cell.passes(len(counter.outline(cell.victim).classes))
    if passes is None:
        raise _Unknown(f"{cell.attack.use} does not tell its passes")
    seen = cell.surrogate or cell.victim
    views = getattr(seen.defence.object, "views", 1) if seen.defence else 1
    return sum(passes) * views * counter.forward(seen)
