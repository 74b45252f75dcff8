"""The images an attack may choose from: the ball around the clean image, cut by the box [0, 1]."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Units, distance

NORMS: frozenset[Norm] = frozenset({"linf", "l2", "l1"})
UNITS: frozenset[Units] = frozenset({"pixels", "normalised"})
_PIXELS = Threat("linf").box
_TINY = 1e-30
_EDGE = 1e-6  # a value that near to 0 or 1 lies there: rounding must not decide which steps it takes


def nearest(image: Tensor, clean: Tensor, norm: Norm, eps: float, box: tuple[float, float] = _PIXELS) -> Tensor:
    """The image (N, C, H, W) nearest to ``image`` in Euclidean distance that lies in the ball AND in the box.

    Clipping after projecting onto the ball would stay in both as well, yet fall short of the nearest image
    wherever pixels are cut off: their share of the budget would be lost. Croce & Hein 2021, "Mind the box",
    arXiv 2103.01208, show what that costs under l1.
    """
    if norm == "linf":
        return image.clamp((clean - eps).clamp_min_(box[0]), (clean + eps).clamp_max_(box[1]))
    delta = (image - clean).flatten(1)
    size = delta.abs()
    room = torch.where(delta > 0, box[1] - clean.flatten(1), clean.flatten(1) - box[0])
    if norm == "l2":
        size = (size * _scale(size, room, eps)).minimum(room)
    else:
        size = (size - _shrinkage(size, room, eps)).clamp_min(0).minimum(room)
    delta = (delta.sign() * size).view_as(image)
    over = (eps / distance(delta, norm).clamp_min(_TINY)).clamp_max(1)  # what rounding left outside the ball
    return (clean + delta * over.view(-1, 1, 1, 1)).clamp(*box)


def _scale(size: Tensor, room: Tensor, eps: float) -> Tensor:
    """The factor s <= 1 (N, 1) for which min(s * size, room) has length ``eps``; 1 where it is shorter anyway."""
    limit, order = (room / size.clamp_min(_TINY)).clamp_max(1).sort(dim=1)
    stuck, free = size.minimum(room).gather(1, order).square(), size.gather(1, order).square()
    fixed = stuck.cumsum(1) - stuck
    loose = free.flip(1).cumsum(1).flip(1)
    first = (fixed + limit.square() * loose < eps**2).sum(1, keepdim=True)
    at = first.clamp_max(size.shape[1] - 1)
    left = (eps**2 - fixed.gather(1, at)).clamp_min(0)
    scale = (left / loose.gather(1, at).clamp_min(_TINY)).sqrt().clamp_max(1)
    return torch.where(first == size.shape[1], torch.ones_like(scale), scale)


def _shrinkage(size: Tensor, room: Tensor, eps: float) -> Tensor:
    """The threshold (N, 1) for which min(max(size - threshold, 0), room) sums to ``eps``, or 0.

    The sum is piecewise linear in the threshold: a value begins to count below its size, and no more counts
    below its size less its room.
    """
    ends, order = torch.cat([size, size - room], 1).sort(dim=1, descending=True)
    sign = torch.where(order < size.shape[1], 1.0, -1.0)
    slope, mass = sign.cumsum(1), (sign * ends).cumsum(1)
    last = (mass - slope * ends <= eps).sum(1, keepdim=True).clamp_min(1) - 1
    return ((mass.gather(1, last) - eps) / slope.gather(1, last).clamp_min(1)).clamp_min(0)


def steepest(
    gradient: Tensor,
    image: Tensor,
    norm: Norm,
    length: float | Tensor,
    share: int = 1,
    box: tuple[float, float] = _PIXELS,
) -> Tensor:
    """The step (N, C, H, W) of length ``length`` under ``norm`` that lowers the loss most, to first order.

    Values that the box would stop are left out. An l1 step goes to the values of largest gradient, each up
    to its room in the box and to ``length / share``. The length is one number or one per sample (N,).
    """
    length = length.view(-1, 1) if isinstance(length, Tensor) else length
    if norm == "linf":
        return (-length * gradient.sign().flatten(1)).view_as(image)
    room = torch.where(gradient > 0, image - box[0], box[1] - image).flatten(1)
    slope = gradient.flatten(1) * (room > _EDGE)
    if norm == "l2":
        largest = slope.abs().amax(1, keepdim=True).clamp_min(_TINY)  # squares of a faint gradient underflow
        return (-length * F.normalize(slope / largest, dim=1)).view_as(image)
    order = slope.abs().argsort(dim=1, descending=True)
    most = room.gather(1, order).clamp_max(length / share)
    taken = (length - (most.cumsum(1) - most)).clamp_min(0).minimum(most)
    return (-slope.sign() * torch.zeros_like(slope).scatter(1, order, taken)).view_as(image)


def even_step(gradient: Tensor, image: Tensor, length: Tensor, count: Tensor) -> Tensor:
    """The step (N, C, H, W) that moves the ``count`` (N,) values of largest gradient alike, ``length`` (N,) in sum.

    Values that the box would stop are left out; the others may be carried over its edge.
    """
    room = torch.where(gradient > 0, image, 1 - image) > _EDGE
    slope = (gradient * room).flatten(1)
    size = slope.abs()
    last = (count.long().clamp(1, size.shape[1]) - 1).unsqueeze(1)
    chosen = (size >= size.sort(dim=1, descending=True).values.gather(1, last)) & (size > 0)
    part = length / chosen.sum(1).clamp_min(1)
    return (-part.unsqueeze(1) * slope.sign() * chosen).view_as(image)


def random_image(batch: Batch, threat: Threat, draw: int) -> Tensor:
    """Images drawn uniformly from the ball, then moved to the nearest ones in the box.

    ``draw`` numbers the draw. Under l2 and l1 nearly all of a ball of many dimensions lies at its surface.
    """
    if threat.norm == "linf":
        noise = threat.eps * batch.uniform(-1, 1, draw=2 * draw)
        return nearest(batch.x + noise, batch.x, threat.norm, threat.eps, threat.box)
    if threat.norm == "l2":
        noise = batch.normal(draw=2 * draw)
    else:  # directions of the l1 ball are Laplace numbers over their sum
        unit = batch.uniform(-1, 1, draw=2 * draw)
        noise = -unit.sign() * (1 - unit.abs()).clamp_min(2.0**-25).log()
    radius = threat.eps * batch.uniform(draw=2 * draw + 1, values=1).squeeze(1) ** (1 / batch.x[0].numel())
    scale = radius / distance(noise, threat.norm).clamp_min(_TINY)
    return nearest(batch.x + scale.view(-1, 1, 1, 1) * noise, batch.x, threat.norm, threat.eps, threat.box)


def finite(threat: Threat, name: str) -> None:
    """Refuse an infinite budget; raises ``ValueError``."""
    if not math.isfinite(threat.eps):
        raise ValueError(f"native.{name} searches a ball: the threat needs a finite eps, not {threat.eps}")
