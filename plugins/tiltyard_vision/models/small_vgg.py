"""The small VGG with two wide hidden layers that the study of squeezing and distillation attacks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pydantic import PositiveInt
from torch import Tensor, nn

from tiltyard import Head

WIDTHS = (32, 64, 128, 128, 128)


class SmallVggNetwork(nn.Module):
    """Five times two 3x3 convolutions with batch normalisation and a pooling, two hidden layers, and the head."""

    def __init__(self, shape: tuple[int, int, int], hidden: int, head: Head) -> None:
        super().__init__()
        channels, height, width = shape
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *WIDTHS)):
            for inner in (before, after):
                layers += [nn.Conv2d(inner, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
            # Rounding up keeps a pixel to the end where the side is no multiple of 32; 224x224 is unaffected.
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
            height, width = -(-height // 2), -(-width // 2)
        self.features = nn.Sequential(*layers)
        flat = WIDTHS[-1] * height * width
        self.hidden = nn.Sequential(*_hidden(flat, hidden), *_hidden(hidden, hidden))
        self.head = head(hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(self.features(x).flatten(1)))  # type: ignore[no-any-return]


def _hidden(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Linear(before, after), nn.ReLU(inplace=True), nn.Dropout(0.5)


@dataclass(frozen=True)
class SmallVgg:
    """A VGG of ten narrow convolutions and two hidden layers of ``hidden`` units with dropout.

    "VGG10_lighter" of the ModelRobustnessClassifier project, which trains it on Animals-10 at 224x224 (43,395,754
    parameters there with 10 classes), after Simonyan and Zisserman 2015, arXiv 1409.1556.
    """

    hidden: PositiveInt = 4096

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of exactly this shape."""
        return SmallVggNetwork(shape, self.hidden, head)
