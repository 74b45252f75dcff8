"""The fast gradient sign method and its l2 and l1 forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Setting, Threat, Victim

from .descent import probe
from .losses import LOSSES, LossName, forwards, refuse_loss
from .region import NORMS, finite, nearest, steepest


@dataclass(frozen=True)
class FGSM:
    """One step along the gradient to the surface of the ball.

    Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples", arXiv 1412.6572, have l-infinity
    and cross-entropy (``loss = "ce"``). Under l2 the step follows the gradient, under l1 it fills the values of
    largest gradient up to the box: each lowers the linearised loss most. ``eot`` gradients are averaged, for
    randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    loss: LossName = "margin"
    eot: PositiveInt = 1

    def refuse(self, setting: Setting) -> str | None:
        """Why the loss can not be had, or None."""
        return refuse_loss(self.loss, setting)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return forwards(self.loss) * self.eot, self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``, whether they win or not."""
        finite(threat, "fgsm")
        _, gradient = probe(LOSSES[self.loss], victim, batch, batch.x, self.eot)
        image = batch.x + steepest(gradient, batch.x, threat.norm, threat.eps)
        return nearest(image, batch.x, threat.norm, threat.eps)
