"""The fast gradient sign method of the study of label representations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Units, Victim

from .objective import gradient, scheme_loss


@dataclass(frozen=True)
class FGSM:
    """One signed step on the label scheme's own loss, clamped to the smallest and largest value of the image.

    Chen et al. 2021, "Beyond Categorical Label Representations for Image Classification", arXiv 2104.02226, in their
    released code: x + eps sign of the gradient of the label's loss, or less that of the target's. Faults: one number
    for all channels is no range of valid pixels; and the loss of a code is not what its nearest-codeword decision
    follows (for a well-fitted image its gradient is close to noise).
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    units: ClassVar[frozenset[Units]] = frozenset({"normalised"})
    targeted: ClassVar[bool] = True

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return 1, 1

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``, and within their own range."""
        image = batch.x + threat.eps * gradient(scheme_loss, victim, batch, batch.x).sign()
        low, high = batch.x.amin((1, 2, 3), keepdim=True), batch.x.amax((1, 2, 3), keepdim=True)
        return torch.clamp(image, low, high)
