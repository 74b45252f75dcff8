"""Feature squeezing: a detector of images whose scores change with their detail, or a classifier without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from tiltyard import Classifier, Radius, Trainer

from .detector import SqueezingDetector
from .squeezers import bit_depth, median, non_local_means, resampling

Squeezer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Squeezing:
    """Detection of images whose scores change with their detail, or prediction without that detail.

    Xu, Evans & Qi 2018, "Feature Squeezing", NDSS, arXiv 1704.01155. ``mode = "detector"`` rejects an image if
    a squeezer moves the softmax of its scores by more than a threshold that the share ``false_positive_rate``
    of clean held-out images exceeds. ``mode = "classifier"`` predicts on the image after all ``squeezers`` in
    order. ``bits`` belongs to bit_depth, ``window`` (pixels) to median; ``search``, ``patch`` (pixels) and
    ``strength`` (a difference of pixel values, images being in [0, 1]) to non_local_means.
    """

    squeezers: tuple[Literal["bit_depth", "median", "non_local_means", "resampling"], ...] = ("bit_depth", "median")
    bits: PositiveInt = 5
    window: PositiveInt = 2
    search: PositiveInt = 13
    patch: PositiveInt = 3
    strength: Radius = 2 / 255
    mode: Literal["detector", "classifier"] = "detector"
    false_positive_rate: float = 0.05

    def __post_init__(self) -> None:
        if not self.squeezers or len(set(self.squeezers)) < len(self.squeezers):
            raise ValueError(
                f"squeezers = {list(self.squeezers)} must name each of bit_depth, median, non_local_means and "
                "resampling at most once, and at least one"
            )
        if self.bits > 8:
            raise ValueError(f"bits = {self.bits} squeezes nothing out of 8-bit images; choose 1 to 8")
        for key, side in (("search", self.search), ("patch", self.patch)):
            if side % 2 == 0:
                raise ValueError(f"{key} = {side} must be odd: the window lies around a pixel")
        if self.strength <= 0:
            raise ValueError(f"strength = {self.strength} must be positive")
        if not 0 < self.false_positive_rate < 1:
            raise ValueError(f"false_positive_rate = {self.false_positive_rate} must lie between 0 and 1")

    @property
    def views(self) -> int:
        """Images that go through the network for one."""
        return 1 + len(self.squeezers) if self.mode == "detector" else 1

    def __call__(self, train: Trainer) -> Classifier:
        """The wrapped classifier; a detector's threshold is fitted to ``train.held_out``."""
        plain = train()
        squeezers = [self._squeezer(name) for name in self.squeezers]
        if self.mode == "classifier":
            return Classifier(nn.Sequential(*squeezers, plain.network), plain.scheme).eval()
        detector = SqueezingDetector(plain.network, plain.scheme, squeezers)
        detector.fit(*train.held_out, self.false_positive_rate)
        return detector.eval()

    def _squeezer(self, name: str) -> nn.Module:
        means = partial(non_local_means, search=self.search, patch=self.patch, strength=self.strength)
        functions: dict[str, Squeezer] = {
            "bit_depth": partial(bit_depth, bits=self.bits),
            "median": partial(median, window=self.window),
            "non_local_means": means,
            "resampling": resampling,
        }
        return _Squeeze(functions[name])


class _Squeeze(nn.Module):
    """A squeezer as a layer."""

    def __init__(self, function: Squeezer) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Squeezed images."""
        return self.function(x)
