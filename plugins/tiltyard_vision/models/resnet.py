"""Residual networks for small images: ResNet-8 to ResNet-110, and ResNet-18 with a 3x3 stem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from tiltyard import Head

from .initialisation import he_normal

Shortcut = Literal["pad", "projection"]
SHORTCUTS = ("pad", "projection")


class _Pad(nn.Module):
    """Option A of He et al.: every second pixel, and zero channels around; it has no parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        new = self.channels - x.shape[1]
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, new // 2, new - new // 2))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Sequential()
        if before != after and shortcut == "pad":
            self.shortcut = _Pad(after)
        elif before != after:
            convolution = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """A 3x3 stem, stages ``layer1``... of ``depth`` blocks each, the mean over the pixels, and the head.

    Each stage but the first halves height and width. Parameter names are those of the published CIFAR
    checkpoints, but for the last layer: ``head`` instead of ``linear``.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], depth: int, shortcut: Shortcut, head: Head) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self._stages = [f"layer{number}" for number in range(1, len(widths) + 1)]
        before = widths[0]
        for number, (name, width) in enumerate(zip(self._stages, widths, strict=True)):
            first = _Block(before, width, 2 if number else 1, shortcut)
            others = [_Block(width, width, 1, shortcut) for _ in range(depth - 1)]
            self.add_module(name, nn.Sequential(first, *others))
            before = width
        he_normal(self)
        self.head = head(before)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for name in self._stages:
            x = self.get_submodule(name)(x)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ResNet20:
    """ResNet-20 for CIFAR: 3 stages of 3 blocks, widths 16, 32, 64 (269,722 parameters with 10 classes).

    ``shortcut`` where the shape changes: "pad" subsamples and adds zero channels (option A, as published);
    "projection" is a 1x1 convolution (option B, as in the label-representation studies). Source: He et al.
    2016, "Deep Residual Learning for Image Recognition", arXiv 1512.03385, section 4.2.
    """

    shortcut: Shortcut = "pad"

    depth: ClassVar[int] = 20

    def __post_init__(self) -> None:
        if self.shortcut not in SHORTCUTS:
            raise ValueError(f'shortcut = "{self.shortcut}" is none of {", ".join(SHORTCUTS)}')

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of any size, 64 features before the head."""
        return ResidualNetwork(shape[0], (16, 32, 64), (self.depth - 2) // 6, self.shortcut, head)


class ResNet8(ResNet20):
    """ResNet-8 for CIFAR: as resnet20, with a block a stage (75,290 parameters with 10 classes)."""

    depth = 8


class ResNet32(ResNet20):
    """ResNet-32 for CIFAR: as resnet20, with 5 blocks a stage (464,154 parameters with 10 classes)."""

    depth = 32


class ResNet44(ResNet20):
    """ResNet-44 for CIFAR: as resnet20, with 7 blocks a stage (658,586 parameters with 10 classes)."""

    depth = 44


class ResNet56(ResNet20):
    """ResNet-56 for CIFAR: as resnet20, with 9 blocks a stage (853,018 parameters with 10 classes)."""

    depth = 56


class ResNet110(ResNet20):
    """ResNet-110 for CIFAR: as resnet20, with 18 blocks a stage (1,727,962 parameters with 10 classes)."""

    depth = 110


@dataclass(frozen=True)
class ResNet18:
    """ResNet-18 with a 3x3 stem and no pooling in front: 4 stages of 2 blocks, widths 64 to 512.

    The form that robustness papers use for 32x32 images (11,173,962 parameters with 10 classes), after He et
    al. 2016, "Deep Residual Learning for Image Recognition", arXiv 1512.03385.
    """

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of any size, 512 features before the head."""
        return ResidualNetwork(shape[0], (64, 128, 256, 512), 2, "projection", head)
