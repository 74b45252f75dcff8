"""Small victims on which the nearest adversarial image of every sample is known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..contracts import Batch, Category, Classifier, Norm
from ..victim import outputs

SAMPLES = 8
SHAPE = (1, 6, 6)
GAP = 1.5
"""Median gap between the two best scores. Times 10 the softmax still has a float32 gradient, times 1/100 it is flat."""

_PIXELS = 36
_CANDIDATES = 4096
_WANTED: dict[Norm, float] = {"linf": 0.02, "l2": 0.2, "l1": 0.1, "l0": 1.0}
_SPREAD = 0.2
_ROUGH = 0.5
_ROOM = 0.25

Images = Literal["grey", "black and white"]
Kind = Literal["hopeless", "easy"]


class Bend(nn.Module):
    """A strictly rising function of every score: no decision changes, so the closed form stays true."""

    def forward(self, scores: Tensor) -> Tensor:
        """Bent scores (N, K)."""
        return scores + 0.5 * scores.tanh()


class Wave(nn.Module):
    """The sine of every value."""

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape."""
        return values.sin()


@dataclass(frozen=True)
class Arena:
    """A linear victim and samples of it, at the distances ``optimum`` (N,) from another class, box included.

    ``nearest`` (N, C, H, W) are images twice as far away as need be, in the best direction: all are adversarial.
    """

    classifier: Classifier
    x: Tensor
    y: Tensor
    optimum: Tensor
    nearest: Tensor
    norm: Norm

    @property
    def batch(self) -> Batch:
        """The samples as an attack gets them, with the images that a transfer attack tries."""
        return Batch(self.x, self.y, torch.arange(len(self.x)), key="health", found=(self.nearest,))

    @property
    def target(self) -> Tensor:
        """The class (N,) that is second nearest: an attack that goes to the nearest one misses it."""
        weight, bias = _layer(self.classifier)
        return _lengths(weight, bias, self.x.flatten(1), self.y, self.norm).topk(2, largest=False).indices[:, 1]

    def radius(self, factor: float) -> float:
        """``factor`` times the distance at which the last sample can be broken."""
        eps = factor * float(self.optimum.max())
        return float(math.ceil(eps)) if self.norm == "l0" else eps

    def rescored(self, scale: float = 1.0, shift: float = 0.0) -> Arena:
        """The same decisions from other scores."""
        weight, bias = _layer(self.classifier)
        return replace(self, classifier=_classifier(scale * weight, scale * bias + shift))

    def permuted(self, order: Tensor) -> Arena:
        """The same images, class k being called ``order[k]``."""
        weight, bias = _layer(self.classifier)
        back = order.argsort()
        return replace(self, classifier=_classifier(weight[back], bias[back]), y=order[self.y])

    def towards_target(self, factor: float) -> float:
        """``factor`` times a distance that suffices for every sample to reach its target.

        It is that of the cheapest step of one size on the m values that favour the target most, over all m.
        """
        weight, bias = _layer(self.classifier)
        x, target = self.x.flatten(1), self.target
        gap = -_gaps(x @ weight.T + bias, target)
        favour = weight[target] - (weight.sum(0) - weight[target]) / (len(weight) - 1)
        order = favour.abs().argsort(dim=1, descending=True)
        slope = (weight[target].unsqueeze(1) - weight) * favour.sign().unsqueeze(1)
        gain = slope.gather(2, order.unsqueeze(1).expand_as(slope)).cumsum(2)
        size = (gap.unsqueeze(2) / gain).masked_fill(gain <= 0, torch.inf)
        size = size.masked_fill(gap.unsqueeze(2) == -torch.inf, 0).amax(1)
        count = torch.arange(1, x.shape[1] + 1)
        length = {"linf": size, "l2": count.sqrt() * size, "l1": count * size, "l0": count.expand_as(size).float()}[
            self.norm
        ]
        best = length.masked_fill(size > _ROOM, torch.inf).amin(1)
        return math.ceil(factor * float(best.max())) if self.norm == "l0" else factor * float(best.max())

    def bent(self) -> Arena:
        """The same decisions from scores that are no linear function of the image."""
        network = nn.Sequential(*self.classifier.network.children(), Bend())
        return replace(self, classifier=Classifier(network, self.classifier.scheme).eval())

    def cast(self, dtype: torch.dtype) -> Arena:
        """The same victim in another precision."""
        weight, bias = _layer(self.classifier)
        return replace(self, classifier=_classifier(weight, bias).to(dtype))


@cache
def arena(norm: Norm, classes: int = 4, images: Images = "grey") -> Arena:
    """Eight samples of one linear victim, all about equally far from another class under ``norm``."""
    generator = torch.Generator().manual_seed(classes)
    weight = _smooth(torch.randn(classes, 1, 3, 3, generator=generator))
    weight = weight + _ROUGH * torch.randn(classes, _PIXELS, generator=generator)
    x = torch.rand(_CANDIDATES, _PIXELS, generator=generator)
    if images == "grey":
        size = torch.rand(_CANDIDATES, 1, generator=generator)
        x = 0.5 + 0.6 * size * (x - 0.5)
    else:
        x = x.round()
    return _chosen(weight, -0.5 * weight.sum(1), x, norm)


def rough(norm: Norm) -> Arena:
    """The same images before a victim whose slopes turn within the ball: where a search ends depends on its start.

    It is a float64 network: how a matrix product of float32 rounds depends on the number of its rows and on the
    machine, and a search before such slopes would make another image of that.
    """
    own = arena(norm)
    generator = torch.Generator().manual_seed(1)
    first, second = skip_init(nn.Linear, _PIXELS, 24), skip_init(nn.Linear, 24, 4)
    with torch.no_grad():
        for layer, scale in ((first, 3.0), (second, 1.0)):
            layer.weight.copy_(scale * torch.randn(layer.weight.shape, generator=generator))
            layer.bias.zero_()
    network = nn.Sequential(nn.Flatten(), first, Wave(), second)
    classifier = Classifier(network, Category(4)).eval().requires_grad_(False).double()
    return replace(own, classifier=classifier, y=outputs(classifier, own.x).scores.argmax(1))


def bystanders(norm: Norm, kind: Kind) -> Arena:
    """Half as many samples of ``arena(norm)``'s victim: far out of reach, or all but broken."""
    own = arena(norm)
    weight, _ = _layer(own.classifier)
    classes = torch.arange(SAMPLES // 2) % len(weight)
    lean = (weight[classes] - weight.mean(0)).sign()
    x = 0.5 + (0.5 if kind == "hopeless" else 0.002) * lean
    return _arena(own.classifier, x, norm)


def _chosen(weight: Tensor, bias: Tensor, x: Tensor, norm: Norm) -> Arena:
    """The candidates that lie about as far away as wanted, of every class alike, the scores scaled to ``GAP``."""
    found = _arena(_classifier(weight, bias), x, norm)
    away = (found.optimum / _WANTED[norm] - 1 + _SPREAD / 2).abs()
    scores = found.classifier(found.x)
    gap, runner_up = _gaps(scores, found.y).min(1)
    fair = away.masked_fill(runner_up != _nearest_class(weight, bias, x, found.y, norm), torch.inf)
    turns = [fair.masked_fill(found.y != k, torch.inf).argsort() for k in range(len(weight) - 1, -1, -1)]
    rows = torch.stack(turns, 1).flatten()[: len(weight) * SAMPLES][:SAMPLES]
    scale = GAP / float(gap[rows].median())
    return _arena(_classifier(scale * weight, scale * bias), x[rows], norm)


def _smooth(coarse: Tensor) -> Tensor:
    """Weights (K, D) whose neighbours are alike, as those of trained networks are: searches by squares live on it."""
    return nn.functional.interpolate(coarse, SHAPE[1:]).flatten(1)


def _arena(classifier: Classifier, x: Tensor, norm: Norm) -> Arena:
    weight, bias = _layer(classifier)
    y = (x @ weight.T + bias).argmax(1)
    length = _lengths(weight, bias, x, y, norm)
    optimum, other = length.min(1)
    return Arena(classifier, x.view(-1, *SHAPE), y, optimum, _beyond(weight, x, y, other, optimum, norm), norm)


def _nearest_class(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
    return _lengths(weight, bias, x, y, norm).argmin(1)


def _lengths(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
    """Distances (N, K) from ``x`` (N, D) to where each class overtakes the label; infinite for the label itself.

    A linear margin falls fastest along the dual norm of its slope, over the values that the box lets move. True
    as long as none of these reaches the other end of the box, which is why samples are put so near.
    """
    gap = _gaps(x @ weight.T + bias, y)
    slope = weight[y].unsqueeze(1) - weight
    room = torch.where(slope > 0, x.unsqueeze(1), 1 - x.unsqueeze(1))
    steep = slope.abs() * (room > 0)
    if norm == "l0":
        gain = (steep * room).sort(dim=2, descending=True).values.cumsum(2)
        return torch.where(gap.isfinite(), (gain <= gap.unsqueeze(2)).sum(2) + 1.0, torch.inf)
    length: Tensor = gap / steep.norm(p={"linf": 1, "l2": 2, "l1": math.inf}[norm], dim=2)
    return length


def _beyond(weight: Tensor, x: Tensor, y: Tensor, other: Tensor, optimum: Tensor, norm: Norm) -> Tensor:
    """Images twice as far as need be, in the direction in which the margin to class ``other`` (N,) falls fastest."""
    slope = weight[other] - weight[y]
    room = torch.where(slope > 0, 1 - x, x)
    slope = slope * (room > 0)
    reach = 2 * optimum.unsqueeze(1)
    if norm == "linf":
        delta = slope.sign() * reach
    elif norm == "l2":
        delta = slope / slope.norm(dim=1, keepdim=True) * reach
    else:
        gain = slope.abs() * (room if norm == "l0" else 1)
        rank = gain.argsort(dim=1, descending=True).argsort(dim=1)
        size = torch.where(rank < (reach if norm == "l0" else 1), torch.ones_like(gain), 0.0)
        delta = slope.sign() * size * (room if norm == "l0" else reach)
    return (x + delta).clamp(0, 1).view(-1, *SHAPE)


def _gaps(scores: Tensor, y: Tensor) -> Tensor:
    """The label's score less each other one (N, K); infinite for the label itself."""
    gap = scores.gather(1, y.unsqueeze(1)) - scores
    return gap.scatter(1, y.unsqueeze(1), torch.inf)


def _layer(classifier: Classifier) -> tuple[Tensor, Tensor]:
    layer: nn.Linear = classifier.network[1]  # type: ignore[index]
    return layer.weight.detach(), layer.bias.detach()


def _classifier(weight: Tensor, bias: Tensor) -> Classifier:
    classes, pixels = weight.shape
    layer = skip_init(nn.Linear, pixels, classes)  # an initialisation would draw from the global generator
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    network = nn.Sequential(nn.Flatten(), layer)
    return Classifier(network, Category(classes)).eval().requires_grad_(False)
