"""Auto-PGD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .apgd_search import AutoPGD, random_start
from .descent import Attempt, best_of
from .losses import LOSSES, LossName, fitting, forwards
from .region import NORMS, finite


@dataclass(frozen=True)
class APGD:
    """Projected gradient descent with momentum whose step every sample sets for itself, with random restarts.

    Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
    Parameter-free Attacks", arXiv 2003.01690; under l1 with sparse steps through wider balls, Croce & Hein
    2021, "Mind the Box", arXiv 2103.01208. ``loss = "ce"`` and ``"dlr"`` are the papers' APGD-CE and APGD-DLR;
    with too few classes for the latter the margin stands in. ``eot`` gradients are averaged in each step, for
    randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    loss: LossName = "margin"
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        gradients = self.restarts * self.steps * self.eot
        return forwards(self.loss) * (gradients + self.restarts * self.eot), gradients

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``."""
        finite(threat, "apgd")
        return best_of(victim, batch, self._attempts(victim, batch, threat))

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat) -> Iterator[Attempt]:
        loss = LOSSES[fitting(self.loss, victim.classes, targeted=batch.target is not None)]
        for restart in range(self.restarts):
            yield partial(_attempt, AutoPGD(loss, self.steps, self.eot), victim, batch, threat, restart)


def _attempt(
    search: AutoPGD, victim: Victim, batch: Batch, threat: Threat, draw: int, rows: Tensor
) -> tuple[Tensor, Tensor]:
    part = batch[rows]
    return search(victim, part, threat, random_start(part, threat, draw))
