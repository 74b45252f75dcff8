"""The running means of Adam, sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_FADE = 0.9  # what a step leaves of the mean gradient, and of the mean square
_FADE_SQUARE = 0.999


@dataclass(frozen=True)
class Moments:
    """Running means of a gradient (N, ...) and of its square; ``moments[mask]`` drops samples.

    Kingma & Ba 2015, "Adam: a Method for Stochastic Optimization", ICLR, arXiv 1412.6980, with its own constants.
    """

    first: Tensor
    second: Tensor
    steps: int = 0

    @staticmethod
    def of(like: Tensor) -> Moments:
        """Moments before the first step, of gradients of the shape of ``like``."""
        return Moments(torch.zeros_like(like), torch.zeros_like(like))

    def __getitem__(self, mask: Tensor) -> Moments:
        return Moments(self.first[mask], self.second[mask], self.steps)

    def seen(self, gradient: Tensor) -> Moments:
        """The means with one gradient more."""
        first = self.first.lerp(gradient, 1 - _FADE)
        return Moments(first, self.second.lerp(gradient.square(), 1 - _FADE_SQUARE), self.steps + 1)

    def direction(self) -> Tensor:
        """What Adam adds for each unit of step size: values of about 1 where gradients agree."""
        mean = self.first / (1 - _FADE**self.steps)
        return -mean / ((self.second / (1 - _FADE_SQUARE**self.steps)).sqrt() + 1e-8)
