"""The attack of Carlini and Wagner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim, distance

from .adam import Moments
from .descent import probe
from .losses import margin_loss

_RIM = 0.05  # how far the range of tanh reaches beyond the box


@dataclass(frozen=True)
class CW:
    """The nearest adversarial image under l2: squared length and margin, weighed by a constant that is searched for.

    Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P, arXiv 1608.04644.
    Each of ``binary_search_steps`` searches descends |delta|^2 + c max(margin, -confidence) by ``steps`` steps of
    Adam in the space of a tanh, from the clean image; c grows tenfold until the sample is broken and is bisected
    from then on. A sample leaves a search that gained nothing in a fifth of its steps. Changed from there: margins
    are measured in units of the clean image's, and c begins at ``initial_c`` times the value at which a linear victim
    would just be broken, so that there is no scale to guess; the step falls along a cosine; and the tanh reaches 5 %
    beyond the box, where values are clipped: in the paper's space a pixel that is 0 or 1 lies at infinity. ``eot``
    gradients are averaged in each step, for randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    binary_search_steps: PositiveInt = 9
    step_size: PositiveFloat = 0.05
    confidence: NonNegativeFloat = 0.0
    initial_c: PositiveFloat = 2.0
    abort_early: bool = True
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; the first gradient tells where c may lie."""
        gradients = self.eot * (1 + self.binary_search_steps * self.steps)
        return gradients, gradients

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The nearest adversarial image met, or the clean one; ``threat.eps`` is not looked at."""
        margin, gradient = probe(margin_loss, victim, batch, batch.x, self.eot)
        unit = torch.where(margin.isfinite(), margin.abs(), 1).clamp_min(1e-12)
        ahead = unit / distance(gradient, "l2").clamp_min(1e-30)
        c = self.initial_c * (2 * ahead.square()).clamp(1e-3, 1e3)
        best, shortest = batch.x.clone(), torch.full_like(unit, torch.inf)
        low, high = torch.zeros_like(unit), torch.full_like(unit, torch.inf)
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
        rows, place, moments = torch.arange(len(batch), device=weight.device), _place(batch.x), Moments.of(batch.x)
        lowest, mark = torch.full_like(weight, torch.inf), torch.full_like(weight, torch.inf)
        for step in range(self.steps):
            image = _image(place)
            margin, gradient = probe(margin_loss, victim, batch, image, self.eot)
            length = distance(image - batch.x, "l2")
            better = (margin < 0) & (margin <= -self.confidence) & (length < shortest[rows])
            best[rows[better]], shortest[rows[better]] = image[better], length[better]
            excess = (margin + self.confidence).clamp_min(0)
            lowest = lowest.minimum(length.square() + weight * excess)
            pull = torch.where(excess > 0, weight, 0).view(-1, 1, 1, 1) * gradient
            moments = moments.seen((2 * (image - batch.x) + pull) * (1 - place.tanh().square()))
            fall = (1 + math.cos(math.pi * step / self.steps)) / 2
            place = place + self.step_size * fall * moments.direction()
            if self.abort_early and step % max(1, self.steps // 5) == 0:
                gains = lowest < 0.9999 * mark
                if not bool(gains.any()):
                    break
                rows, batch, weight, lowest = rows[gains], batch[gains], weight[gains], lowest[gains]
                place, moments, mark = place[gains], moments[gains], lowest
        return best, shortest


def _place(image: Tensor) -> Tensor:
    """Where in the space of the tanh an image lies."""
    return ((2 * image - 1) / (1 + 2 * _RIM)).atanh()


def _image(place: Tensor) -> Tensor:
    return ((1 + (1 + 2 * _RIM) * place.tanh()) / 2).clamp(0, 1)
