"""The sigma-zero attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim, distance

from .adam import Moments
from .descent import look, probe
from .losses import margin_loss


@dataclass(frozen=True)
class SigmaZero:
    """The adversarial image that changes the fewest values: descends a smooth count of them and the margin together.

    Cinà et al. 2025, "Sigma-zero: Gradient-based Optimization of l0-norm Adversarial Examples", ICLR, arXiv
    2402.01879. Adam descends max(margin, 0) + mean(delta^2 / (delta^2 + sigma)), its gradient scaled to a largest
    value of 1, and after each step changes below a threshold are undone: it rises while the image is adversarial and
    falls while it is not. Changed from there: margins are measured in tenths of the clean image's, so that the scale
    of the scores does not matter, and in the end the ``prune`` smallest changes are undone in turn where that leaves
    the image adversarial. ``eot`` evaluations are averaged, for randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l0"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    step_size: PositiveFloat = 1.0
    sigma: PositiveFloat = 1e-3
    threshold: PositiveFloat = 0.3
    threshold_step: PositiveFloat = 0.01
    prune: NonNegativeInt = 10
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return (self.steps + self.prune) * self.eot, self.steps * self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The adversarial image of fewest changes met, or the clean one; ``threat.eps`` is not looked at."""
        best, delta, moments = batch.x.clone(), torch.zeros_like(batch.x), Moments.of(batch.x)
        fewest = torch.full_like(batch.y, torch.inf, dtype=batch.x.dtype)
        threshold, unit = torch.full_like(fewest, self.threshold), torch.ones_like(fewest)
        for step in range(self.steps):
            image = (batch.x + delta).clamp(0, 1)
            margin, slope = probe(margin_loss, victim, batch, image, self.eot)
            if step == 0:
                unit = torch.where(margin.isfinite(), margin.abs() / 10, 1).clamp_min(1e-12)
            changed = distance(image - batch.x, "l0")
            better = (margin < 0) & (changed < fewest)
            best[better], fewest[better] = image[better], changed[better]
            moments = moments.seen(_scaled(_held(slope, margin, unit) + self._count_slope(delta)))
            rate = self.step_size * (0.1 + 0.9 * (1 + math.cos(math.pi * step / self.steps)) / 2)
            delta = (batch.x + delta + rate * moments.direction()).clamp(0, 1) - batch.x
            threshold = (threshold + torch.where(margin < 0, 1, -1) * self.threshold_step * rate).clamp(0, 1)
            delta = torch.where(delta.abs() < threshold.view(-1, 1, 1, 1), 0, delta)
        return self._pruned(victim, batch, best)

    def _pruned(self, victim: Victim, batch: Batch, image: Tensor) -> Tensor:
        """Images less those of their smallest changes that were not needed."""
        clean, flat = batch.x.flatten(1), image.flatten(1)
        size = (flat - clean).abs()
        order = size.where(size > 0, torch.inf).argsort(dim=1, stable=True)
        for place in order[:, : self.prune].split(1, dim=1):
            less = flat.scatter(1, place, clean.gather(1, place))
            margin = look(margin_loss, victim, batch, less.view_as(image), self.eot)
            flat = torch.where((margin < 0).unsqueeze(1), less, flat)
        return flat.view_as(image)

    def _count_slope(self, delta: Tensor) -> Tensor:
        """The gradient of the smooth share of values changed."""
        return 2 * delta * self.sigma / (delta.square() + self.sigma).square() / delta[0].numel()


def _held(slope: Tensor, margin: Tensor, unit: Tensor) -> Tensor:
    """The margin's gradient in its unit, where the image is not adversarial."""
    return torch.where(margin < 0, 0, 1 / unit).view(-1, 1, 1, 1) * slope


def _scaled(slope: Tensor) -> Tensor:
    """A gradient whose largest value is 1, or 0 where there is none, to eight binary digits.

    What follows is chaotic: without rounding, the last bit of a gradient, which hangs on the batch size, decides
    which values are changed in the end.
    """
    slope = slope / slope.flatten(1).abs().amax(1).clamp_min(1e-30).view(-1, 1, 1, 1)
    return slope.bfloat16().to(slope.dtype)
