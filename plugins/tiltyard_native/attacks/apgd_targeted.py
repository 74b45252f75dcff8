"""Auto-PGD towards one class after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .apgd_search import AutoPGD, random_start
from .descent import Attempt, best_of, rivals
from .losses import TOWARDS, TowardsName, fitting
from .region import NORMS, finite


@dataclass(frozen=True)
class APGDTargeted:
    """Auto-PGD towards each of the ``targets`` highest-scoring other classes: APGD-T.

    Croce & Hein 2020, arXiv 2003.01690, with their targeted difference of logits ratio; with fewer than four
    classes the plain difference of the two scores stands in. Searches are compared by the whole margin, so one
    that strays into a third class counts. ``restarts`` goes through the classes anew.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = False
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    targets: PositiveInt = 9
    loss: TowardsName = "dlr"
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; the first forward ranks the targets."""
        searches = self.restarts * min(self.targets, classes - 1)
        return 1 + searches * (self.steps + 1) * self.eot, searches * self.steps * self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``; the targets are its own, ``batch.target`` is not looked at."""
        finite(threat, "apgd_targeted")
        return best_of(victim, batch, self._attempts(victim, batch, threat))

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat) -> Iterator[Attempt]:
        loss = TOWARDS[fitting(self.loss, victim.classes, targeted=True)]
        columns = rivals(victim, batch, self.targets).unbind(1) * self.restarts
        for draw, target in enumerate(columns):
            aimed = replace(batch, target=target)
            yield partial(_attempt, AutoPGD(loss, self.steps, self.eot), victim, aimed, threat, draw)


def _attempt(
    search: AutoPGD, victim: Victim, batch: Batch, threat: Threat, draw: int, rows: Tensor
) -> tuple[Tensor, Tensor]:
    part = batch[rows]
    return search(victim, part, threat, random_start(part, threat, draw))
