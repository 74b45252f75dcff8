"""A classifier that rejects images whose scores a squeezer moves too far."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tiltyard import Classifier, Incompatible, LabelScheme, Outputs, margin

_BATCH = 256


class SqueezingDetector(Classifier):
    """Scores of the image as it is, and a rejection margin from its squeezed versions.

    An image and its squeezed versions go through the network as one batch, so one call of ``outputs`` is one
    call of the network on (1 + squeezers) N images. ``fit`` sets three buffers, each a single number:
    ``threshold`` of the squeezing score (0 to 2), ``held_out_rate``, the share of held-out images it rejects,
    and ``scale``, by which rejection margins are brought to the size of score margins.
    """

    threshold: Tensor
    scale: Tensor
    held_out_rate: Tensor

    def __init__(self, network: nn.Module, scheme: LabelScheme, squeezers: Sequence[nn.Module]) -> None:
        super().__init__(network, scheme)
        self.squeezers = nn.ModuleList(squeezers)
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("held_out_rate", torch.zeros(()))

    def outputs(self, x: Tensor) -> Outputs:
        """Scores (N, K) and rejection margin (N,) of images (N, C, H, W)."""
        scores, moved = self._scored(x)
        return Outputs(scores, (moved - self.threshold) * self.scale)

    @torch.no_grad()
    def fit(self, x: Tensor, y: Tensor, rate: float) -> None:
        """Set the threshold so that at most the share ``rate`` of clean images ``x`` with labels ``y`` exceeds it.

        Raises ``Incompatible`` where there is no image to fit it to.
        """
        if not len(x):
            raise Incompatible("squeezing fits its threshold to held-out images, and there are none")
        self.to(x.device)
        parts = [self._scored(part) for part in x.split(_BATCH)]
        scores, moved = (torch.cat(column) for column in zip(*parts, strict=True))
        index = max(0, math.ceil(len(moved) * (1 - rate) - 1e-9) - 1)
        self.threshold.copy_(moved.sort().values[index])
        self.held_out_rate.copy_((moved > self.threshold).float().mean())
        wide, narrow = margin(scores, y).abs().median(), (moved - self.threshold).abs().median()
        self.scale.copy_(torch.where((wide > 0) & (narrow > 0), wide / narrow.clamp_min(1e-12), wide.new_ones(())))

    def _scored(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, K), and the largest l1 distance (N,) of their softmax to that of a squeezed version."""
        views = torch.cat([x, *(squeeze(x) for squeeze in self.squeezers)])
        scores = self.scheme.scores(self.network(views)).unflatten(0, (-1, len(x)))
        answers = scores.softmax(2)
        return scores[0], (answers[1:] - answers[0]).abs().sum(2).amax(0)
