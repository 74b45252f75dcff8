"""Where the square attack starts, and how it changes an image."""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Norm, Threat, distance

from .random_search import whole
from .region import nearest

_TINY = 1e-10
_FILLINGS = 3
Window = tuple[Tensor, Tensor, Tensor, Tensor]


def stripes(batch: Batch, threat: Threat, draw: int) -> Tensor:
    """Images (N, C, H, W) with vertical stripes one value wide, each of them eps up or down."""
    count, channels, _, width = batch.x.shape
    signs = _signs(batch.uniform(draw=draw, values=channels * width)).view(count, channels, 1, width)
    return _painted(batch.x, signs, threat.eps)


def repainted(batch: Batch, image: Tensor, threat: Threat, share: float, draw: int) -> Tensor:
    """Images whose window is eps up or down, one sign for each channel; never what it was before.

    The authors draw again until the window differs; the opposite signs differ at once.
    """
    channels, height, width = image.shape[1:]
    side = max(1, round(math.sqrt(share * height * width)))
    numbers = batch.uniform(draw=draw, values=2 + channels)
    window = _window(numbers[:, :2], image, min(side, height), min(side, width))
    signs, clean = _signs(numbers[:, 2:])[..., None, None], batch.x[window]
    fresh = _painted(clean, signs, threat.eps)
    same = (fresh == image[window]).flatten(1).all(1).view(-1, 1, 1, 1)
    out = image.clone()
    out[window] = torch.where(same, _painted(clean, -signs, threat.eps), fresh)
    return out


def blocks(batch: Batch, threat: Threat, draw: int) -> Tensor:
    """Images with a grid of five by five bumps, each up or down and lying or standing, eps long in all."""
    count, channels, height, width = batch.x.shape
    tall, wide = max(1, height // 5), max(1, width // 5)
    down, across = height // tall, width // wide
    numbers = batch.uniform(draw=draw, values=(channels + 1) * down * across).view(
        count, channels + 1, down, 1, across, 1
    )
    signs, lying = _signs(numbers[:, 1:]), numbers[:, :1] < 0.5
    first, second = (bump.view(tall, 1, wide) for bump in _bumps(tall, wide, batch.x, threat))
    tile = torch.where(lying, first, second)
    grid = (signs * tile).reshape(count, channels, down * tall, across * wide)
    above, left = (height - down * tall) // 2, (width - across * wide) // 2
    rim = (left, width - across * wide - left, above, height - down * tall - above)
    return _filled(F.pad(grid, rim), batch.x, threat)


def moved(batch: Batch, image: Tensor, threat: Threat, share: float, draw: int) -> Tensor:
    """Images in which a window has got a bump, on top of what it was, and another has given its budget for it.

    Algorithm 3 of the paper; under l1 sums take the place of sums of squares.
    """
    channels, height, width = image.shape[1:]
    side = max(3, round(math.sqrt(share * height * width))) | 1
    tall, wide = min(side, height), min(side, width)
    numbers, delta = batch.uniform(draw=draw, values=5 + channels), image - batch.x
    into, out_of = (_window(numbers[:, at : at + 2], image, tall, wide) for at in (0, 2))
    rest = delta.clone()
    rest[into] = 0
    rest[out_of] = 0
    power = 2 if threat.norm == "l2" else 1
    before = _mass(delta, power)
    unused = (threat.eps**power - before.sum(1, keepdim=True)).clamp_min(0) / channels
    lying = (numbers[:, 4] < 0.5).view(-1, 1, 1, 1)
    fresh = _signs(numbers[:, 5:])[..., None, None] * torch.where(lying, *_bumps(tall, wide, image, threat))
    fresh = fresh + _unit(delta[into], power)
    budget = (before - _mass(rest, power) + unused).clamp_min(0)
    if threat.norm == "l1":  # overdrawn, as the authors do: the projection takes it from the small values everywhere
        budget = channels * budget
    rest[into] = _unit(fresh, power) * budget ** (1 / power)
    return _filled(rest, batch.x, threat)


def _painted(clean: Tensor, signs: Tensor, eps: float) -> Tensor:
    return (clean + eps * signs).clamp(0, 1)


def _filled(delta: Tensor, clean: Tensor, threat: Threat) -> Tensor:
    """The image that a perturbation leads to when it is made eps long, within the box.

    An l1 perturbation that is too long is projected, which makes it sparse, and not scaled. What the box cuts
    off is made up for by the other values: the paper leaves it to later queries.
    """
    if threat.norm == "l1":
        delta = nearest(clean + delta, clean, threat.norm, threat.eps) - clean
    for _ in range(_FILLINGS):
        scale = threat.eps / distance(delta, threat.norm).clamp_min(_TINY)
        delta = (clean + scale.view(-1, 1, 1, 1) * delta).clamp(0, 1) - clean
    return clean + delta


def _window(unit: Tensor, image: Tensor, tall: int, wide: int) -> Window:
    """Indices of a window of one size per sample, at the place that numbers (N, 2) in [0, 1) tell."""
    (count, channels, height, width), at = image.shape, partial(torch.arange, device=image.device)
    down = whole(unit[:, 0], height - tall + 1).view(-1, 1, 1, 1) + at(tall).view(-1, 1)
    across = whole(unit[:, 1], width - wide + 1).view(-1, 1, 1, 1) + at(wide)
    return at(count).view(-1, 1, 1, 1), at(channels).view(-1, 1, 1), down, across


def _bumps(tall: int, wide: int, like: Tensor, threat: Threat) -> tuple[Tensor, Tensor]:
    """A hill beside a hollow (tall, wide), of length 1 together: one above the other, and side by side."""
    return _halves(tall, wide, threat.norm).to(like), _halves(wide, tall, threat.norm).T.to(like)


def _halves(tall: int, wide: int, norm: Norm) -> Tensor:
    power = 2 if norm == "l2" else 4
    above, below = (_hill(part, wide, power) for part in (tall // 2, tall - tall // 2))
    halves = torch.cat([above / distance(above[None], norm), -below / distance(below[None], norm)])
    return halves / distance(halves[None], norm)


def _hill(tall: int, wide: int, power: int) -> Tensor:
    """Rings that grow towards the middle: sums of 1 / k^power from the outermost k on, the paper's power being 2."""
    rings = max(tall, wide) // 2 + 1
    down = (torch.arange(tall) - tall // 2).abs().view(-1, 1)
    across = (torch.arange(wide) - wide // 2).abs()
    steps = (1 / torch.arange(rings, 0, -1, dtype=torch.float32) ** power).cumsum(0)
    return steps[rings - 1 - torch.maximum(down, across)]


def _mass(delta: Tensor, power: int) -> Tensor:
    """Sums (N, C, 1, 1) of what each channel spends of eps to the power."""
    return delta.abs().pow(power).sum((2, 3), keepdim=True)


def _unit(delta: Tensor, power: int) -> Tensor:
    return delta / _mass(delta, power).pow(1 / power).clamp_min(_TINY)


def _signs(unit: Tensor) -> Tensor:
    return torch.where(unit < 0.5, -1.0, 1.0)
