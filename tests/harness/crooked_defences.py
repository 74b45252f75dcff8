"""A plugin of defences that hide the gradient of the undefended network and do nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

import tiltyard
from tiltyard import Classifier, Outputs, hookimpl


@dataclass(frozen=True)
class SmallCNN:
    """Two convolutions and a linear layer, for 8x8 images."""

    def __call__(self, shape: tuple[int, int, int], head: tiltyard.Head) -> nn.Module:
        convolutions = (nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU())
        return nn.Sequential(*convolutions, nn.Flatten(), head(256))


class Crooked(Classifier):
    """A classifier whose scores go through a function."""

    function: Callable[[Classifier, Tensor], Tensor]

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(type(self).function(self, x))


def plain(classifier: Classifier, x: Tensor) -> Tensor:
    return classifier.scheme.scores(classifier.network(x))


class Quantised(Crooked):
    function = staticmethod(lambda own, x: plain(own, (x * 15).round() / 15))  # type: ignore[assignment]


class Detached(Crooked):
    function = staticmethod(lambda own, x: plain(own, x.detach()))  # type: ignore[assignment]


class Loud(Crooked):
    function = staticmethod(lambda own, x: 1e4 * plain(own, x))  # type: ignore[assignment]


class Probabilities(Crooked):
    function = staticmethod(lambda own, x: plain(own, x).softmax(1))  # type: ignore[assignment]


class Noisy(Crooked):
    randomised = True
    function = staticmethod(lambda own, x: plain(own, x + 0.05 * torch.randn_like(x)))  # type: ignore[assignment]


@dataclass(frozen=True)
class Defence:
    """The undefended network behind a trick."""

    kind: ClassVar[type[Crooked]]

    def __call__(self, train: tiltyard.Trainer) -> Classifier:
        honest = train()
        return self.kind(honest.network, honest.scheme).eval()


def _defence(kind: type[Crooked]) -> type[Defence]:
    return dataclass(frozen=True)(type(kind.__name__, (Defence,), {"kind": kind, "__doc__": kind.__doc__}))


@hookimpl
def models() -> dict[str, type]:
    return {"cnn": SmallCNN}


@hookimpl
def defences() -> dict[str, type]:
    kinds = (Quantised, Detached, Loud, Probabilities, Noisy)
    return {kind.__name__.lower(): _defence(kind) for kind in kinds}
