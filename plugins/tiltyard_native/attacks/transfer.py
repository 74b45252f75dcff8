"""Images that broke other victims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .descent import Attempt, best_of, look
from .losses import margin_loss
from .region import NORMS, finite, nearest


@dataclass(frozen=True)
class Transfer:
    """The images that broke other victims of the plan, moved into the ball and tried on this one.

    Papernot et al. 2016, "Transferability in Machine Learning", arXiv 1605.07277. It needs nothing of the victim
    but its scores: where it beats attacks that see the gradient, the gradient is masked. The plan runs it last.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "images"

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``; the clean ones where no image is better."""
        finite(threat, "transfer")

        def tried(images: Tensor) -> Attempt:
            def attempt(rows: Tensor) -> tuple[Tensor, Tensor]:
                own = batch[rows]
                inside = nearest(images[rows], own.x, threat.norm, threat.eps)
                return inside, look(margin_loss, victim, own, inside)

            return attempt

        return best_of(victim, batch, map(tried, (batch.x, *batch.found)))
