"""Projected gradient descent on a loss, which remembers the best image of each sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tiltyard import Batch, Threat, Victim

from .losses import Loss
from .region import nearest, steepest

Attempt = Callable[[Tensor], tuple[Tensor, Tensor]]


def probe(loss: Loss, victim: Victim, batch: Batch, image: Tensor, eot: int = 1) -> tuple[Tensor, Tensor]:
    """Margins (N,) and gradient of the loss (N, C, H, W) at ``image``, averaged over ``eot`` evaluations."""
    _, margin, gradient = measure(loss, victim, batch, image, eot)
    return margin, gradient


def measure(loss: Loss, victim: Victim, batch: Batch, image: Tensor, eot: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (N,), margins (N,) and gradient (N, C, H, W) at ``image``, averaged over ``eot`` evaluations.

    Averaging is for randomised victims: Athalye et al. 2018, "Synthesizing Robust Adversarial Examples",
    arXiv 1707.07397. A loss or margin that is no number counts as a failure, a gradient that is none as zero.
    """
    found = [_measured(loss, victim, batch[part], image[part], eot) for part in victim.parts(len(image))]
    value, margin, gradient = (torch.cat(column) for column in zip(*found, strict=True))
    return _settled(value), _settled(margin), gradient


def _measured(loss: Loss, victim: Victim, batch: Batch, image: Tensor, eot: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same of as many images as fit in one pass."""
    image = image.detach().requires_grad_()
    value, margin, gradient = image.new_zeros(len(image)), image.new_zeros(len(image)), torch.zeros_like(image)
    for _ in range(eot):
        with torch.enable_grad():
            lost, reached = loss(victim, batch, image)
            (slope,) = torch.autograd.grad(lost.sum(), image)
        gradient += slope.nan_to_num(0, 0, 0)
        value += lost.detach() / eot
        margin += reached.detach() / eot
    return value, margin, gradient


@torch.no_grad()
def look(loss: Loss, victim: Victim, batch: Batch, image: Tensor, eot: int = 1) -> Tensor:
    """Margins (N,) alone, averaged over ``eot`` evaluations."""
    return _settled(torch.stack([loss(victim, batch, image)[1] for _ in range(eot)]).mean(0))


def _settled(margin: Tensor) -> Tensor:
    return torch.where(margin.isfinite(), margin, torch.inf)


@dataclass(frozen=True)
class Descent:
    """``steps`` steps down a loss, from an image of each sample to the best one met on the way.

    ``step_size`` is in pixels under the threat's norm; without one it falls from eps to 0 along a cosine.
    A sample leaves as soon as it is broken. Costs ``steps`` gradients and one forward more.
    """

    loss: Loss
    steps: int
    step_size: float | None = None
    eot: int = 1

    def __call__(self, victim: Victim, batch: Batch, threat: Threat, start: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) inside ball and box, and their margins (N,)."""
        image, best = start, start.clone()
        lowest = torch.full_like(batch.y, torch.inf, dtype=start.dtype)
        rows = torch.arange(len(batch), device=start.device)
        for step in range(self.steps + 1):
            last = step == self.steps
            if last:
                margin = look(self.loss, victim, batch, image, self.eot)
            else:
                margin, gradient = probe(self.loss, victim, batch, image, self.eot)
            better = margin < lowest[rows]
            best[rows[better]], lowest[rows[better]] = image[better], margin[better]
            on = unbroken(victim, margin)
            if last or not bool(on.any()):
                break
            if not bool(on.all()):
                rows, batch, image, gradient = rows[on], batch[on], image[on], gradient[on]
            length, share = self._length(step, threat.eps), self._share(step, image)
            move = steepest(gradient, image, threat.norm, length, share, threat.box)
            image = nearest(image + move, batch.x, threat.norm, threat.eps, threat.box)
        return best, lowest

    def _length(self, step: int, eps: float) -> float:
        if self.step_size is not None:
            return self.step_size
        return eps * (1 + math.cos(math.pi * step / self.steps)) / 2

    def _share(self, step: int, image: Tensor) -> int:
        """Values that share an l1 step: a twentieth of the image at first, one in the end."""
        widest = image[0].numel() / 20
        return max(1, round(math.pow(widest, 1 - step / self.steps)))


def unbroken(victim: Victim, margin: Tensor) -> Tensor:
    """Which samples (N,) a search goes on with: all of a randomised victim's, since a lucky draw breaks nothing."""
    return (margin >= 0) | victim.randomised


def best_of(victim: Victim, batch: Batch, attempts: Iterable[Attempt]) -> Tensor:
    """The best image of each sample over attempts; each is given the positions that are still unbroken."""
    best = batch.x.clone()
    lowest = torch.full_like(batch.y, torch.inf, dtype=best.dtype)
    for attempt in attempts:
        rows = unbroken(victim, lowest).nonzero().squeeze(1)
        if not len(rows):
            break
        image, margin = attempt(rows)
        better = margin < lowest[rows]
        best[rows[better]], lowest[rows[better]] = image[better], margin[better]
    return best


@torch.no_grad()
def rivals(victim: Victim, batch: Batch, count: int) -> Tensor:
    """The ``count`` other classes (N, at most K - 1) that score highest on the clean image, highest first."""
    scores = victim(batch.x, batch.ids).nan_to_num(0, 0, 0)
    others = scores.scatter(1, batch.y.unsqueeze(1), -torch.inf)
    ranked: Tensor = others.argsort(dim=1, descending=True, stable=True)
    return ranked[:, : min(count, scores.shape[1] - 1)]
