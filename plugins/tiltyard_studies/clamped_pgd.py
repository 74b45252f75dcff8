"""The projected gradient descent of the robust_labels project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Threat, Units, Victim

from .objective import cells_as_probabilities, gradient


@dataclass(frozen=True)
class ClampedPGD:
    """Four signed steps of 2/255 from a random start, clamped to [0, 1] although the images are normalised.

    The "PGD" of the robust_labels project, a replication of Chen et al. 2021 that calls torchattacks 3.2.6. Faults:
    the clamp deletes whatever lies below the mean or more than a deviation above it, whatever eps is, so that the
    images leave the ball and are ``violated``; step and number of steps do not follow eps; and the loss is the
    cross-entropy of raw outputs with a raw label, of which one axis is taken for classes and the cells for
    probabilities. ``claimed_accuracy`` holds the kind of number that the project reports. The random start belongs to
    the sample, where the project draws from the global generator.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    units: ClassVar[frozenset[Units]] = frozenset({"normalised"})
    defects: ClassVar[tuple[str, ...]] = ("logit scale", "eps monotone")  # its step does not follow eps

    steps: PositiveInt = 4
    step_size: Radius = 2 / 255

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps, self.steps

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images in [0, 1], which for normalised ones is anywhere."""
        eps = threat.eps
        image = (batch.x + batch.uniform(-eps, eps)).clamp(0, 1)
        for _ in range(self.steps):
            moved = image + self.step_size * gradient(cells_as_probabilities, victim, batch, image).sign()
            image = (batch.x + (moved - batch.x).clamp(-eps, eps)).clamp(0, 1)
        return image
