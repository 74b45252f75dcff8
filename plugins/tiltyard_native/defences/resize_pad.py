"""Random resizing and padding: every call sees the image at another size and place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiltyard import Classifier, Trainer


class RandomResizePad(nn.Module):
    """Images (N, C, H, W) shrunk to a random share of their sides and put at a random place on black.

    Shares are uniform in [``smallest``, 1], places uniform among those that cut nothing off; both are drawn for
    each image from torch's global generator. Bilinear, so that the gradient is exact.
    """

    def __init__(self, smallest: float) -> None:
        super().__init__()
        self.smallest = smallest

    def forward(self, x: Tensor) -> Tensor:
        """Images of the same shape."""
        draws = torch.rand(len(x), 3, device=x.device, dtype=x.dtype)
        share = self.smallest + (1 - self.smallest) * draws[:, :1]
        place = (2 * draws[:, 1:] - 1) * (1 - share)  # of the image's middle, in half sides
        # Rows of the map from where a value goes to where it comes from: (out - place) / share.
        scale = torch.diag_embed((1 / share).expand(-1, 2))
        maps = torch.cat([scale, (-place / share).unsqueeze(2)], 2)
        grid = F.affine_grid(maps, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@dataclass(frozen=True)
class ResizePad:
    """The undefended network on images that are resized and padded at random.

    Xie et al. 2018, "Mitigating Adversarial Effects Through Randomization", ICLR, arXiv 1711.01991. There an
    image of 299 pixels gets a side of 299 to 330 by nearest neighbour and is padded to 331; here it shrinks to
    a share of at least ``smallest`` of its side, bilinearly, so that every architecture takes it.
    """

    smallest: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.smallest < 1:
            raise ValueError(f"smallest = {self.smallest} must lie between 0 and 1: it is a share of the image's side")

    def __call__(self, train: Trainer) -> Classifier:
        """The wrapped classifier, which draws anew in each call."""
        plain = train()
        wrapped = Classifier(nn.Sequential(RandomResizePad(self.smallest), plain.network), plain.scheme)
        wrapped.randomised = True
        return wrapped.eval()
