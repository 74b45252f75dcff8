"""VGG networks with batch normalisation for small images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from tiltyard import Head

from .initialisation import he_normal

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # width and convolutions between two poolings


class VggNetwork(nn.Module):
    """3x3 convolutions with bias, batch normalisation and ReLU in five stages, then the head."""

    def __init__(self, channels: int, head: Head) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, convolutions in STAGES:
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            # Rounding up keeps a pixel to the end where the side is no multiple of 32; 32x32 is unaffected.
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        he_normal(self)
        self.head = head(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Vgg19:
    """VGG-19 with batch normalisation and one linear layer (20,040,522 parameters with 10 classes).

    After Simonyan and Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
    arXiv 1409.1556 (configuration E), in the form that is usual for 32x32 images.
    """

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of any size, 512 features before the head."""
        return VggNetwork(shape[0], head)
