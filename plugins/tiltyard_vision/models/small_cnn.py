"""A small convolutional network that a processor core trains in a minute."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from tiltyard import Head

from .initialisation import he_normal

HIDDEN = 128


class SmallNetwork(nn.Module):
    """Three 3x3 convolutions, of which two halve height and width, a hidden linear layer and the head."""

    def __init__(self, shape: tuple[int, int, int], width: int, head: Head) -> None:
        super().__init__()
        channels, height, wide = shape
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3, 2, 1)
        self.hidden = nn.Linear(2 * width * -(-height // 4) * -(-wide // 4), HIDDEN)
        he_normal(self)
        self.head = head(HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = F.relu(self.conv3(x)).flatten(1)
        return self.head(F.relu(self.hidden(x)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SmallCnn:
    """A CNN without batch normalisation or dropout for images from 8x8 to about 64x64.

    Its convolutions have ``width``, twice and twice ``width`` channels; 128 features come before the head.
    ``width = 16`` on 28x28 grey images: 216,170 parameters with 10 classes.
    """

    width: PositiveInt = 16

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of exactly this shape."""
        return SmallNetwork(shape, self.width, head)
