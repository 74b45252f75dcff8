"""Wide residual networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from tiltyard import Head

from .initialisation import he_normal


class _Block(nn.Module):
    """Batch normalisation and ReLU in front of each of two convolutions, dropout between them."""

    def __init__(self, before: int, after: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        # The name is that of the published checkpoints, in which only beginnings of names can be replaced.
        self.convShortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        between = F.relu(self.bn2(self.conv1(active)))
        out: Tensor = self.conv2(F.dropout(between, self.dropout, self.training))
        # A shortcut that changes the width starts behind the first activation, as in the authors' code.
        shortcut: Tensor = x if self.convShortcut is None else self.convShortcut(active)
        return shortcut + out


class WideNetwork(nn.Module):
    """A 3x3 stem, three groups of blocks, batch normalisation, ReLU, the mean over the pixels, and the head."""

    def __init__(self, channels: int, blocks: int, width: int, dropout: float, head: Head) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        before, after = 16, 16 * width
        for number in (1, 2, 3):
            group = nn.Module()
            first = _Block(before, after, 1 if number == 1 else 2, dropout)
            group.layer = nn.Sequential(first, *(_Block(after, after, 1, dropout) for _ in range(blocks - 1)))
            self.add_module(f"block{number}", group)
            before, after = after, 2 * after
        self.bn1 = nn.BatchNorm2d(before)
        he_normal(self)
        self.head = head(before)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for number in (1, 2, 3):
            x = self.get_submodule(f"block{number}.layer")(x)
        return self.head(F.relu(self.bn1(x)).mean((2, 3)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class WideResNet:
    """WRN-``depth``-``width``: pre-activation blocks, 16, 32 and 64 channels times ``width``.

    ``dropout`` is the share of values dropped between the two convolutions of a block. WRN-28-10 has
    36,479,194 parameters with 10 classes. Source: Zagoruyko and Komodakis 2016, "Wide Residual Networks",
    arXiv 1605.07146.
    """

    depth: PositiveInt = 28
    width: PositiveInt = 10
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.depth < 10 or self.depth % 6 != 4:
            raise ValueError(f"depth = {self.depth} must be 6 n + 4 with n of 1 or more: 10, 16, 22, 28, 34, 40, ...")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout = {self.dropout} must lie in [0, 1)")

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of any size, 64 x ``width`` features before the head."""
        return WideNetwork(shape[0], (self.depth - 4) // 6, self.width, self.dropout, head)
