"""The iterative attack of the study of label representations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Units, Victim

from .objective import gradient, scheme_loss


@dataclass(frozen=True)
class Iterative:
    """Five signed steps of eps / 5 on the label scheme's own loss, along the sum of all gradients so far.

    Chen et al. 2021, arXiv 2104.02226, in their released code. Faults: the image's gradient is never set to zero, so
    each step follows the sign of the *sum* of gradients (``accumulate``), which is no basic iterative method; five
    steps are few; nothing holds the image to valid pixels; and the loss is that of ``studies.fgsm``.
    ``accumulate = false`` takes the last gradient alone.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    units: ClassVar[frozenset[Units]] = frozenset({"normalised"})
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 5
    accumulate: bool = True

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps, self.steps

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The images after the last step, within ``threat.eps``."""
        image, total = batch.x, torch.zeros_like(batch.x)
        for _ in range(self.steps):
            slope = gradient(scheme_loss, victim, batch, image)
            total = total + slope if self.accumulate else slope
            moved = image + threat.eps / self.steps * total.sign()
            image = batch.x + (moved - batch.x).clamp(-threat.eps, threat.eps)
        return image
