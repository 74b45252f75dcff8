"""The fast minimum-norm attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim, distance, project

from .ddn import or_random, soft_margin
from .descent import probe
from .losses import margin_loss
from .region import NORMS, steepest

_DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}
_EARLY = 0.3  # share of the steps that look for the class and, under l1, for the values that matter


@dataclass(frozen=True)
class FMN:
    """The nearest adversarial image, by steps in a ball that shrinks while it holds one and grows while it does not.

    Pintor et al. 2021, "Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints", NeurIPS, arXiv
    2102.12827: the ball's radius goes to the boundary of the victim made linear until an adversarial image is met,
    from then on it changes by a factor 1 +- gamma, which falls from ``gamma`` to 0.001 along a cosine. Changed from
    there: the first 30 % of the steps descend a margin with a soft maximum, which sees all other classes; a step
    follows the gradient as the norm wants it and is ``step_size`` radii long at first (the paper's are Euclidean and
    one pixel unit long at first); the radius grows by ``gamma`` (0.05 in the paper) at least and to its double at most
    while nothing is found; and an l2 step ends on the sphere, as in DDN. The paper's l0 form is left out: it is caught
    at values that do not matter, where sigma-zero is not. ``eot`` gradients are averaged in each step, for randomised
    victims.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    step_size: PositiveFloat = 1.0
    gamma: float = 0.1
    eot: PositiveInt = 1

    def __post_init__(self) -> None:
        if not 0.001 <= self.gamma < 1:
            raise ValueError(f"gamma = {self.gamma} must lie between 0.001, to which it falls, and 1")

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps * self.eot, self.steps * self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The nearest adversarial image met, or the clean one; ``threat.eps`` is not looked at."""
        norm, best, image = threat.norm, batch.x.clone(), batch.x
        farthest = distance(torch.maximum(batch.x, 1 - batch.x), norm)
        shortest, eps = torch.full_like(farthest, torch.inf), torch.zeros_like(farthest)
        for step in range(self.steps):
            done = step / self.steps
            loss = soft_margin if done < _EARLY else margin_loss
            margin, gradient = probe(loss, victim, batch, image, self.eot)
            reached = distance(image - batch.x, norm)
            better = (margin < 0) & (reached < shortest)
            best[better], shortest[better] = image[better], reached[better]
            fall = (1 + math.cos(math.pi * done)) / 2
            gamma = 0.001 + (self.gamma - 0.001) * fall
            ahead = reached + _ahead(margin, gradient, norm)
            eps = _radius(eps, shortest, ahead, margin < 0, gamma).minimum(farthest)
            length = self.step_size * (0.01 + 0.99 * fall)
            move = _move(or_random(gradient, batch, step), image, norm, eps, length, done)
            image = _inside(image + move, batch.x, norm, eps)
        return best


def _ahead(margin: Tensor, gradient: Tensor, norm: Norm) -> Tensor:
    """The distance (N,) to the boundary of the victim made linear."""
    return margin.abs() / distance(gradient, _DUAL[norm]).clamp_min(1e-30)


def _radius(eps: Tensor, shortest: Tensor, ahead: Tensor, wins: Tensor, gamma: float) -> Tensor:
    """The next radii (N,)."""
    less, more = eps * (1 - gamma), eps * (1 + gamma)
    if bool(shortest.isinf().any()):
        onwards = torch.where(eps > 0, ahead.maximum(more).minimum(2 * eps), ahead)
        more = torch.where(shortest.isinf(), onwards, more)
    return torch.where(wins, less.minimum(shortest), more)


def _move(gradient: Tensor, image: Tensor, norm: Norm, eps: Tensor, length: float, done: float) -> Tensor:
    """A step (N, C, H, W) of ``length`` radii; ``done`` is the share of the steps that lie behind.

    Under l1 the first steps go to few values, which finds the ones that matter, and the others follow the gradient,
    which settles how much each of them takes.
    """
    if norm != "l1":
        return steepest(gradient, image, norm, length * eps)
    if done >= _EARLY:
        return steepest(gradient, image, "l2", 0.3 * length * eps)
    share = max(1, round(math.pow(image[0].numel() / 20, 1 - done)))
    return steepest(gradient, image, "l1", 1.5 * length * eps, share)


def _inside(image: Tensor, clean: Tensor, norm: Norm, eps: Tensor) -> Tensor:
    """Images in the box and in balls of radii ``eps``; under l2 on the sphere where the box lets them."""
    delta = image.clamp(0, 1) - clean
    if norm == "l2":
        delta = delta * (eps / distance(delta, norm).clamp_min(1e-12)).clamp_min(1).view(-1, 1, 1, 1)
        delta = (clean + delta).clamp(0, 1) - clean
    return (clean + project(delta, norm, eps)).clamp(0, 1)
