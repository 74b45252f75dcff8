"""The attack of Carlini and Wagner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim, distance

from .descent import look, probe
from .losses import LOSSES

_RIM = 0.05  # how far the range of tanh reaches beyond the box


@dataclass(frozen=True)
class CW:
    """The nearest adversarial image under l2: squared length and margin, weighed by a constant that is searched for.

    Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P, arXiv 1608.04644.
    Each of ``binary_search_steps`` searches descends |delta|^2 + c max(margin, -confidence) by ``steps`` steps of
    Adam in the space of a tanh, from the clean image; c grows tenfold until the sample is broken and is bisected
    from then on. A sample leaves a search that no longer gains. Changed from there: margins are measured in units of
    the clean image's, so that c has no scale to guess, and the tanh reaches 5 % beyond the box, where values are
    clipped: in the paper's space a pixel that is 0 or 1 lies at infinity.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 200
    binary_search_steps: PositiveInt = 9
    step_size: PositiveFloat = 0.05
    confidence: NonNegativeFloat = 0.0
    initial_c: PositiveFloat = 1.0
    abort_early: bool = True
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; the first forward measures the clean margin."""
        gradients = self.eot * self.binary_search_steps * self.steps
        return self.eot + gradients, gradients

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The nearest adversarial image met, or the clean one; ``threat.eps`` is not looked at."""
        margin = look(LOSSES["margin"], victim, batch, batch.x, self.eot)
        unit = torch.where(margin.isfinite(), margin.abs(), 1).clamp_min(1e-12)
        best, shortest = batch.x.clone(), torch.full_like(unit, torch.inf)
        low, high, c = torch.zeros_like(unit), torch.full_like(unit, torch.inf), torch.full_like(unit, self.initial_c)
        for _ in range(self.binary_search_steps):
            image, length = self._search(victim, batch, c / unit)
            better = length < shortest
            best[better], shortest[better] = image[better], length[better]
            broken = length.isfinite()
            low, high = torch.where(broken, low, c), torch.where(broken, c, high)
            c = torch.where(high.isfinite(), (low + high) / 2, 10 * c)
        return best

    def _search(self, victim: Victim, batch: Batch, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest adversarial images met in one descent, and their lengths (N,), infinite where there is none."""
        best, shortest = batch.x.clone(), torch.full_like(weight, torch.inf)
        rows, place = torch.arange(len(batch), device=weight.device), _place(batch.x)
        first, second = torch.zeros_like(place), torch.zeros_like(place)
        mark = torch.full_like(weight, torch.inf)
        for step in range(self.steps):
            image = _image(place)
            margin, gradient = probe(LOSSES["margin"], victim, batch, image, self.eot)
            length = distance(image - batch.x, "l2")
            better = (margin < 0) & (margin <= -self.confidence) & (length < shortest[rows])
            best[rows[better]], shortest[rows[better]] = image[better], length[better]
            excess = margin + self.confidence
            slope = 2 * (image - batch.x) + torch.where(excess > 0, weight, 0).view(-1, 1, 1, 1) * gradient
            slope = slope * (1 - place.tanh().square())
            first, second = torch.lerp(first, slope, 0.1), torch.lerp(second, slope.square(), 0.001)
            spread = (second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            place = place - self.step_size * (first / (1 - 0.9 ** (step + 1))) / spread
            if self.abort_early and step % max(1, self.steps // 10) == 0:
                loss = length.square() + weight * excess.clamp_min(0)
                gains = loss < 0.9999 * mark
                if not bool(gains.any()):
                    break
                mark = loss
                if not bool(gains.all()):
                    rows, batch, weight, mark = rows[gains], batch[gains], weight[gains], mark[gains]
                    place, first, second = place[gains], first[gains], second[gains]
        return best, shortest


def _place(image: Tensor) -> Tensor:
    """Where in the space of the tanh an image lies."""
    return ((2 * image - 1) / (1 + 2 * _RIM)).atanh()


def _image(place: Tensor) -> Tensor:
    return ((1 + (1 + 2 * _RIM) * place.tanh()) / 2).clamp(0, 1)
