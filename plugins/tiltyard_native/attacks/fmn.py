"""The fast minimum-norm attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Threat, Victim, distance, project

from .descent import probe
from .losses import LOSSES
from .region import NORMS, steepest

_DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}


@dataclass(frozen=True)
class FMN:
    """The nearest adversarial image under any norm: a ball that shrinks and grows while its edge is searched.

    Pintor et al. 2021, "Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints", NeurIPS,
    arXiv 2102.12827.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS | {"l0"}
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    step_size: Radius = 1.0
    gamma: float = 0.05
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps * self.eot, self.steps * self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The nearest adversarial image met, or the clean one; ``threat.eps`` is not looked at."""
        norm = threat.norm
        best, image = batch.x.clone(), batch.x
        farthest = distance(torch.maximum(batch.x, 1 - batch.x), norm)
        shortest = torch.full_like(farthest, torch.inf)
        eps = torch.zeros_like(farthest)
        for step in range(self.steps):
            fall = (1 + math.cos(math.pi * step / self.steps)) / 2
            margin, gradient = probe(LOSSES["margin"], victim, batch, image, self.eot)
            wins, reached = margin < 0, distance(image - batch.x, norm)
            better = wins & (reached < shortest)
            best[better], shortest[better] = image[better], reached[better]
            gamma = 0.001 + (self.gamma - 0.001) * fall
            eps = self._eps(eps, gamma, wins, shortest, reached, margin, gradient, norm).minimum(farthest)
            rate = self.step_size * (0.01 + 0.99 * fall)
            moved = (image + steepest(gradient, image, "l2", rate)).clamp(0, 1)
            image = (batch.x + project(moved - batch.x, norm, eps)).clamp(0, 1)
        return best

    def _eps(self, eps, gamma, wins, shortest, reached, margin, gradient, norm) -> Tensor:
        if norm == "l0":
            less = torch.minimum((eps - 1).minimum((eps * (1 - gamma)).floor()), shortest)
            more = (eps + 1).maximum((eps * (1 + gamma)).floor())
            return torch.where(wins, less, more).clamp_min(0)
        ahead = reached + margin.abs() / distance(gradient, _DUAL[norm]).clamp_min(1e-12)
        more = torch.where(shortest.isinf(), ahead, eps * (1 + gamma))
        return torch.where(wins, (eps * (1 - gamma)).minimum(shortest), more)
