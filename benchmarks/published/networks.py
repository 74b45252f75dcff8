"""A network of one's own as a plugin file: ``bench run mnist.toml --plugin networks.py``.

The architecture is the LeNet-5 variant of advertorch (Ding et al. 2019, arXiv 1902.07623), whose two published
MNIST checkpoints ``mnist.toml`` evaluates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from tiltyard import Head, hookimpl


class LeNet5(nn.Module):
    """conv 3x3 (32) - pool - conv 3x3 (64) - pool - linear (200) - head."""

    def __init__(self, channels: int, side: int, head: Head) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.linear1 = nn.Linear(64 * (side // 4) ** 2, 200)
        self.head = head(200)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to outputs of the head."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.head(F.relu(self.linear1(x)))


@dataclass(frozen=True)
class LeNet5Model:
    """advertorch's LeNet-5 for square images."""

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """The network for images of ``shape`` (C, H, W)."""
        return LeNet5(shape[0], shape[1], head)


@hookimpl
def models() -> dict[str, type[LeNet5Model]]:
    """The file's only component: ``networks.lenet5``."""
    return {"lenet5": LeNet5Model}
