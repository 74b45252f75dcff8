"""A victim whose nearest adversarial images are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tiltyard import Classifier, Norm

SHAPE = (1, 8, 8)
CLASSES = 5


@dataclass(frozen=True)
class Linear:
    """A linear classifier on images that lie well inside the box, with their labels."""

    classifier: Classifier
    x: Tensor
    y: Tensor

    def optimum(self, norm: Norm) -> tuple[Tensor, Tensor]:
        """Distance (N,) to the nearest decision boundary, and the class (N,) on its other side."""
        layer = self.classifier.network[1]  # type: ignore[index]
        scores = self.classifier(self.x)
        gap = scores.gather(1, self.y[:, None]) - scores
        normal = layer.weight[self.y][:, None] - layer.weight[None]
        dual = {"linf": normal.abs().sum(2), "l2": normal.norm(dim=2), "l1": normal.abs().amax(2)}[norm]
        return (gap / dual).scatter(1, self.y[:, None], torch.inf).min(1)


Strike = Callable[..., Tensor]
