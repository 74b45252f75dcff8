"""Projected gradient descent with restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Setting, Threat, Units, Victim

from .descent import Attempt, Descent, best_of
from .losses import LOSSES, LossName, forwards, refuse_loss
from .region import NORMS, UNITS, finite, random_image


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent with random restarts, on the margin unless told otherwise.

    Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", arXiv 1706.06083.
    Changed from there: the step falls along a cosine unless ``step_size`` (in pixels) is given, and the best
    image met is returned rather than the last one. ``eot`` gradients are averaged in each step, for randomised
    victims.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    units: ClassVar[frozenset[Units]] = UNITS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 50
    step_size: Radius | None = None
    restarts: PositiveInt = 1
    random_start: bool = True
    loss: LossName = "margin"
    eot: PositiveInt = 1

    def __post_init__(self) -> None:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"restarts = {self.restarts} with random_start = false would repeat one search; set random_start = true"
            )

    def refuse(self, setting: Setting) -> str | None:
        """Why the loss can not be had, or None."""
        return refuse_loss(self.loss, setting)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        gradients = self.restarts * self.steps * self.eot
        return forwards(self.loss) * (gradients + self.restarts * self.eot), gradients

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``; raises ``Incompatible`` where the loss needs more classes."""
        finite(threat, "pgd")
        return best_of(victim, batch, self._attempts(victim, batch, threat))

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat) -> Iterator[Attempt]:
        descent = Descent(LOSSES[self.loss], self.steps, self.step_size, self.eot)
        for restart in range(self.restarts):
            yield partial(self._attempt, descent, victim, batch, threat, restart)

    def _attempt(
        self, descent: Descent, victim: Victim, batch: Batch, threat: Threat, restart: int, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        part = batch[rows]
        start = random_image(part, threat, restart) if self.random_start else part.x
        return descent(victim, part, threat, start)
