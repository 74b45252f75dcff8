"""The walk of FAB along the decision boundary, and what it has found so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim, distance

from .descent import look
from .fab_planes import Planes, onto
from .losses import Loss, margin_loss

_REACH: dict[Norm, float] = {"linf": 0.3, "l2": 2.0, "l1": 20.0}
"""How far random starts are from samples for which nothing has been found: twice as far as they land."""
_LEAST = 1e-5
"""Least overshoot, as a distance under l2."""


class Nearest:
    """The nearest adversarial image of each sample so far. A finite eps is near enough.

    Of a randomised victim no sample is ever done with, since a lucky draw is no success.
    """

    def __init__(self, batch: Batch, threat: Threat, randomised: bool = False) -> None:
        self.batch, self.norm, self.randomised = batch, threat.norm, randomised
        self.enough = threat.eps if threat.eps < torch.inf else 0.0
        self.image = batch.x.clone()
        self.length = torch.full_like(batch.y, torch.inf, dtype=batch.x.dtype)

    def open(self, rows: Tensor | None = None) -> Tensor:
        """Of the positions given, or of all, those for which to look on."""
        rows = torch.arange(len(self.batch), device=self.length.device) if rows is None else rows
        return rows[(self.length[rows] > self.enough) | self.randomised]

    def keep(self, rows: Tensor, image: Tensor, margin: Tensor) -> Tensor:
        """Take the images that won and are nearer than those before; returns which ones won (N,)."""
        length = distance(image - self.batch.x[rows], self.norm)
        better = (margin < 0) & (length < self.length[rows])
        self.image[rows[better]], self.length[rows[better]] = image[better], length[better]
        return margin < 0

    def refine(self, victim: Victim, halvings: int) -> None:
        """Halve the way from the clean image to the best one so many times, and keep the nearest that wins."""
        rows = self.open()
        rows = rows[self.length[rows].isfinite()]
        below = self.batch.x[rows]
        for _ in range(halvings):
            if not len(rows):
                return
            middle = (below + self.image[rows]) / 2
            wins = self.keep(rows, middle, look(margin_loss, victim, self.batch[rows], middle))
            below = torch.where(wins.view(-1, 1, 1, 1), below, middle)


@dataclass(frozen=True)
class Walk:
    """Steps of FAB from one image of each sample: onto the plane, drawn towards where the clean image meets it.

    As long as nothing is found the draw weakens, to none after half the steps: between the planes of a class and of
    a detector it would hold the walk in a cycle, for the clean image lies on the right side of one of them.
    ``loss`` gives the margin that decides who has won; ``planes`` tells the plane to walk to.
    """

    loss: Loss
    planes: Planes
    steps: int
    alpha_max: float
    eta: float
    beta: float
    eot: int

    def __call__(self, victim: Victim, batch: Batch, found: Nearest, image: Tensor) -> None:
        """Walk from ``image`` (N, C, H, W) and leave what wins in ``found``; two forwards and a plane a step."""
        rows, whole = torch.arange(len(batch), device=image.device), batch
        for step in range(self.steps):
            left = found.open(rows)
            if not len(left):
                return
            if len(left) < len(rows):
                image, rows = image[torch.isin(rows, left)], left
                batch = whole[rows]
            margin, gap, slope = self.planes(victim, batch, image)
            found.keep(rows, image, margin)
            bias = self.alpha_max * torch.where(found.length[rows].isinf(), max(0.0, 1 - 2 * step / self.steps), 1.0)
            image = self._step(batch.x, image, gap, slope, found.norm, bias.view(-1, 1, 1, 1))
            wins = found.keep(rows, image, look(self.loss, victim, batch, image, self.eot))
            image = torch.where(wins.view(-1, 1, 1, 1), torch.lerp(batch.x, image, self.beta), image)

    def _step(self, clean: Tensor, image: Tensor, gap: Tensor, slope: Tensor, norm: Norm, bias: Tensor) -> Tensor:
        """One step. The gaps are overstated, so that the box does not cut the overshoot off."""
        ours = onto(image, self._overstated(gap, slope), slope, norm)
        there = gap + (slope * (clean - image)).flatten(1).sum(1)
        theirs = onto(clean, self._overstated(there, slope), slope, norm)
        near, far = distance(ours, norm), distance(theirs, norm)
        pull = (near / (near + far).clamp_min(1e-12)).view(-1, 1, 1, 1).minimum(bias)
        return torch.lerp(image + ours, clean + theirs, pull).clamp(0, 1)

    def _overstated(self, gap: Tensor, slope: Tensor) -> Tensor:
        """``eta`` times the gap, and more of one that rounding would swallow."""
        more = torch.maximum((self.eta - 1) * gap.abs(), _LEAST * distance(slope, "l2"))
        return gap + torch.where(gap < 0, -more, more)


def random_start(found: Nearest, draw: int) -> Tensor:
    """Images half as far as the best one, or as the ball is wide, in a random direction."""
    batch = found.batch
    noise = batch.uniform(-1, 1, draw=draw) if found.norm == "linf" else batch.normal(draw=draw)
    reach = found.length.clamp_max(found.enough or _REACH[found.norm]) / 2
    scale = reach / distance(noise, found.norm).clamp_min(1e-12)
    return (batch.x + scale.view(-1, 1, 1, 1) * noise).clamp(0, 1)
