"""Random images in the ball: the control that every attack must beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .descent import Attempt, best_of, look
from .losses import margin_loss
from .region import NORMS, finite, random_image


@dataclass(frozen=True)
class Noise:
    """The best of ``draws`` random images from the ball.

    They are drawn uniformly from the ball and moved to the nearest images in the box.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "scores"
    defects: ClassVar[tuple[str, ...]] = ("strength",)

    draws: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards per sample at most, and no backwards."""
        return self.draws, 0

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``."""
        finite(threat, "noise")
        return best_of(victim, batch, self._attempts(victim, batch, threat))

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat) -> Iterator[Attempt]:
        for draw in range(self.draws):
            yield partial(_attempt, victim, batch, threat, draw)


def _attempt(victim: Victim, batch: Batch, threat: Threat, draw: int, rows: Tensor) -> tuple[Tensor, Tensor]:
    image = random_image(batch[rows], threat, draw)
    return image, look(margin_loss, victim, batch[rows], image)
