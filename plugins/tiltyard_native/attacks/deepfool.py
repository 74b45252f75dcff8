"""DeepFool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Threat, Victim, distance

from .descent import rivals

_TINY = 1e-30
_BEYOND = 1e-4  # pixels: what the authors' code adds, without which the last steps grow ever shorter
_DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2"}


@dataclass(frozen=True)
class DeepFool:
    """Steps to the nearest class boundary of the victim made linear, until the image has crossed it.

    Moosavi-Dezfooli et al. 2016, "DeepFool: a Simple and Accurate Method to Fool Deep Neural Networks", CVPR,
    arXiv 1511.04599. ``candidates`` other classes, those of highest score on the clean image, are linearised in
    each step; each step goes ``1 + overshoot`` times as far as the linear boundary and ends in the box. ``eot``
    evaluations are averaged, for randomised victims, of whose samples none leaves: a lucky draw is no success.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 50
    candidates: PositiveInt = 10
    overshoot: Radius = 0.02
    eot: PositiveInt = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; one forward ranks the candidates, each costs a gradient a step."""
        return 1 + self.eot * (self.steps + 1), self.eot * self.steps * min(self.candidates, classes - 1)

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The first adversarial image of each sample, or the clean one; ``threat.eps`` is not looked at."""
        return torch.cat([self._found(victim, batch[part], threat.norm) for part in victim.parts(len(batch))])

    def _found(self, victim: Victim, batch: Batch, norm: Norm) -> Tensor:
        """The same of as many samples as fit in one pass."""
        found, rows, image = batch.x.clone(), torch.arange(len(batch), device=batch.x.device), batch.x
        classes = rivals(victim, batch, self.candidates)
        for step in range(self.steps + 1):
            image, scores = self._scores(victim, batch, image, step < self.steps)
            margin = batch.margin(scores.detach())
            wins = margin.isfinite() & (margin < 0)
            found[rows[wins]] = image.detach()[wins]
            on = ~wins | victim.randomised
            if step == self.steps or not bool(on.any()):
                break
            move = _step(scores, image, batch.y, classes, norm)
            image = (image.detach() + (1 + self.overshoot) * move)[on].clamp(0, 1)
            rows, batch, classes = rows[on], batch[on], classes[on]
        return found

    def _scores(self, victim: Victim, batch: Batch, image: Tensor, graph: bool) -> tuple[Tensor, Tensor]:
        """The image as a leaf of its own graph, and its scores (N, K), averaged over ``eot`` evaluations."""
        image = image.detach().requires_grad_(graph)
        with torch.set_grad_enabled(graph):
            return image, torch.stack([victim(image, batch.ids) for _ in range(self.eot)]).mean(0)


def _step(scores: Tensor, image: Tensor, y: Tensor, classes: Tensor, norm: Norm) -> Tensor:
    """The shortest step (N, C, H, W) to where, to first order, one of ``classes`` (N, M) scores as high as ``y``."""
    shortest, along = torch.full_like(scores[:, 0], torch.inf), torch.zeros_like(image)
    with torch.enable_grad():
        gaps = (scores.gather(1, y.unsqueeze(1)) - scores.gather(1, classes)).unbind(1)
    for place, gap in enumerate(gaps, start=1):
        (slope,) = torch.autograd.grad(gap, image, torch.ones_like(gap), retain_graph=place < len(gaps))
        slope = slope.nan_to_num(0, 0, 0)
        length = gap.detach() / distance(slope, _DUAL[norm]) + _BEYOND
        nearer = length < shortest
        shortest = torch.where(nearer, length, shortest)
        along = torch.where(nearer.view(-1, 1, 1, 1), slope, along)
    length = torch.where(shortest.isfinite(), shortest, 0).view(-1, 1, 1, 1)
    if norm == "linf":
        return -length * along.sign()
    return -length * along / distance(along, "l2").clamp_min(_TINY).view(-1, 1, 1, 1)
