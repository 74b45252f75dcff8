"""Decoupled direction and norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Threat, Victim, distance

from .descent import probe
from .losses import margin_loss

_FLAT = 1e-25


@dataclass(frozen=True)
class DDN:
    """The nearest adversarial image under l2, by decoupled direction and norm.

    Rony et al. 2019, "Decoupling Direction and Norm", CVPR, arXiv 1811.09600. Each step turns the perturbation
    along the gradient and sets its length: shorter by the factor 1 - ``gamma`` where the image was adversarial,
    longer by 1 + ``gamma`` where it was not. ``levels = 256`` rounds images to as many grey values inside the loop, as
    the paper does and 8-bit files are; on masked networks that costs strength. The paper descends cross-entropy;
    ``loss = "ce"`` goes the same way, free of the factor that vanishes where the softmax saturates, and
    ``loss = "margin"`` looks at the strongest other class alone. ``eot`` gradients are averaged in each step, for
    randomised victims.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    gamma: float = 0.05
    init_eps: Radius = 1.0
    levels: NonNegativeInt = 0
    loss: Literal["ce", "margin"] = "ce"
    eot: PositiveInt = 1

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma = {self.gamma} must lie between 0 and 1")
        if self.levels == 1:
            raise ValueError("levels = 1 leaves one grey value; give at least 2, or 0 for no rounding")
        if self.init_eps <= 0:
            raise ValueError(f"init_eps = {self.init_eps} must be positive: the length only ever grows by a factor")

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps * self.eot, self.steps * self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The nearest adversarial image met, or the clean one; ``threat.eps`` is not looked at."""
        loss = margin_loss if self.loss == "margin" else soft_margin
        best, image = batch.x.clone(), batch.x
        farthest = distance(torch.maximum(batch.x, 1 - batch.x), "l2")
        shortest, length = farthest.clone(), torch.full_like(farthest, self.init_eps)
        for step in range(self.steps):
            margin, gradient = probe(loss, victim, batch, image, self.eot)
            wins = margin < 0
            reached = distance(image - batch.x, "l2")
            better = wins & (reached < shortest)
            best[better], shortest[better] = image[better], reached[better]
            rate = 0.01 + 0.99 * (1 + math.cos(math.pi * step / self.steps)) / 2
            turned = image - batch.x - rate * _unit(or_random(gradient, batch, step))
            length = torch.minimum(torch.where(wins, length * (1 - self.gamma), length * (1 + self.gamma)), farthest)
            scale = length / distance(turned, "l2").clamp_min(1e-12)
            image = self._rounded((batch.x + scale.view(-1, 1, 1, 1) * turned).clamp(0, 1))
        return best

    def _rounded(self, image: Tensor) -> Tensor:
        return (image * (self.levels - 1)).round() / (self.levels - 1) if self.levels else image


def soft_margin(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """The margin with a soft maximum over the other classes: cross-entropy's gradient but for its length.

    Cross-entropy is softplus(-m) of this m, whose slope is 0 in float32 once the softmax is saturated.
    """
    scores = victim(image, batch.ids)
    wanted = (batch.y if batch.target is None else batch.target).unsqueeze(1)
    gap = scores.gather(1, wanted).squeeze(1) - scores.scatter(1, wanted, -torch.inf).logsumexp(1)
    return gap if batch.target is None else -gap, batch.margin(scores)


def or_random(gradient: Tensor, batch: Batch, draw: int) -> Tensor:
    """The gradient; for samples that have none a random vector, which may lead to where there is one."""
    flat = gradient.flatten(1).abs().amax(1).view(-1, 1, 1, 1) < _FLAT
    return torch.where(flat, batch.normal(draw=draw), gradient) if bool(flat.any()) else gradient


def _unit(gradient: Tensor) -> Tensor:
    """Vectors of length 1 under l2; scaled first, because squares of a faint gradient underflow."""
    scaled = gradient / gradient.flatten(1).abs().amax(1).view(-1, 1, 1, 1)
    return scaled / distance(scaled, "l2").view(-1, 1, 1, 1)
