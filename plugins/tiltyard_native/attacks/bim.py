"""The basic iterative method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Setting, Threat, Victim

from .descent import Descent
from .losses import LOSSES, LossName, forwards, refuse_loss
from .region import NORMS, finite


@dataclass(frozen=True)
class BIM:
    """Gradient steps of one size from the clean image.

    Kurakin et al. 2017, "Adversarial Examples in the Physical World", arXiv 1607.02533, have l-infinity and
    cross-entropy (``loss = "ce"``). ``step_size`` is in pixels under the threat's norm, by default 2.5 eps /
    steps. The best image met is returned rather than the last one. ``eot`` gradients are averaged in each step,
    for randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 10
    step_size: Radius | None = None
    loss: LossName = "margin"
    eot: PositiveInt = 1

    def refuse(self, setting: Setting) -> str | None:
        """Why the loss can not be had, or None."""
        return refuse_loss(self.loss, setting)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return forwards(self.loss) * self.eot * (self.steps + 1), self.eot * self.steps

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``."""
        finite(threat, "bim")
        step_size = 2.5 * threat.eps / self.steps if self.step_size is None else self.step_size
        image, _ = Descent(LOSSES[self.loss], self.steps, step_size, self.eot)(victim, batch, threat, batch.x)
        return image
