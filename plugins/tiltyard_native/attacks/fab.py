"""The fast adaptive boundary attack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .descent import rivals
from .fab_planes import Planes, nearest_class, plane_of
from .fab_search import Nearest, Walk, random_start
from .losses import Loss, margin_loss, towards_margin
from .region import NORMS

_HALVINGS = 8


@dataclass(frozen=True)
class FAB:
    """The nearest adversarial image, by steps onto the linearised boundary that are drawn to the clean image.

    Croce & Hein 2020, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack", arXiv
    1907.02044. With ``targets = 0`` each step goes to the class that is nearest to first order, which takes a
    gradient for every class; ``targets = n`` searches towards each of the n best other classes in turn, with one
    gradient a step (FAB-T; n = 9 in AutoAttack). The step overshoots by ``eta``, leans to the clean image by
    ``alpha_max`` at most, and after a success goes back to ``beta`` of the way. Called with a finite eps, a sample
    leaves as soon as it is broken inside. ``eot`` evaluations are averaged, for randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    targets: NonNegativeInt = 0
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    eot: PositiveInt = 1

    def __post_init__(self) -> None:
        if not 0 <= self.alpha_max <= 1:
            raise ValueError(f"alpha_max = {self.alpha_max} must lie between 0 and 1")
        if self.eta < 1:
            raise ValueError(f"eta = {self.eta} must be at least 1: the step has to reach the boundary")
        if not 0 < self.beta < 1:
            raise ValueError(f"beta = {self.beta} must lie between 0 and 1")

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        searches = min(self.targets, classes - 1) if self.targets else 1
        steps = self.restarts * searches * self.steps * self.eot
        ranking = 1 if self.targets else 0
        return ranking + 2 * steps + _HALVINGS, steps if self.targets else steps * (classes - 1)

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The nearest adversarial image found, or the clean one; with a finite eps one inside, or the clean one."""
        found, searches = Nearest(batch, threat, victim.randomised), list(self._searches(victim, batch, threat.norm))
        for restart in range(self.restarts):
            for loss, planes, aimed in searches:
                start = random_start(found, restart) if restart else batch.x
                self._walk(loss, planes)(victim, aimed, found, start)
        found.refine(victim, _HALVINGS)
        inside = (found.length <= threat.eps).view(-1, 1, 1, 1)
        return torch.where(inside & found.length.isfinite().view(-1, 1, 1, 1), found.image, batch.x)

    def _walk(self, loss: Loss, planes: Planes) -> Walk:
        return Walk(loss, planes, self.steps, self.alpha_max, self.eta, self.beta, self.eot)

    def _searches(self, victim: Victim, batch: Batch, norm: Norm) -> Iterator[tuple[Loss, Planes, Batch]]:
        """The margin, the planes and the batch of each walk."""
        if batch.target is not None:
            yield margin_loss, plane_of(margin_loss, self.eot), batch
        elif not self.targets:
            yield margin_loss, nearest_class(norm, self.eot), batch
        else:
            for target in rivals(victim, batch, self.targets).unbind(1):
                yield towards_margin, plane_of(towards_margin, self.eot), replace(batch, target=target)
