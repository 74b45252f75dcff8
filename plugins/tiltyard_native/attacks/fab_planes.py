"""The decision boundary as FAB sees it: a plane for each sample, and the nearest image of the box on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tiltyard import Batch, Norm, Victim, margin

from .descent import measure
from .losses import Loss

Plane = tuple[Tensor, Tensor, Tensor]
"""Margins (N,) at an image, and the linear piece gap (N,) + <slope (N, C, H, W), change> that is 0 on the plane."""
Planes = Callable[[Victim, Batch, Tensor], Plane]
_TINY = 1e-30


def plane_of(loss: Loss, eot: int) -> Planes:
    """Planes where a loss is zero, to first order."""
    return partial(_plane_of, loss, eot)


def nearest_class(norm: Norm, eot: int) -> Planes:
    """Planes between the label and whichever other class is nearest, to first order; K - 1 backwards each."""
    return partial(_nearest_class, norm, eot)


def onto(image: Tensor, gap: Tensor, slope: Tensor, norm: Norm) -> Tensor:
    """The shortest change (N, C, H, W) that leads onto the plane gap + <slope, change> = 0 within the box.

    Exact. Where the box does not reach the plane, it leads to the corner of the box that is nearest to it.
    """
    steep = slope.flatten(1) * torch.where(gap < 0, -1.0, 1.0).unsqueeze(1)
    room = torch.where(steep > 0, image.flatten(1), 1 - image.flatten(1))
    weight = steep.abs()
    largest = weight.amax(1, keepdim=True).clamp_min(_TINY)  # squares of a faint gradient underflow
    weight, need = weight / largest, gap.abs().unsqueeze(1) / largest
    if norm == "l1":
        size = _steepest_first(weight, room, need)
    else:
        size = _evenly(weight, torch.ones_like(weight) if norm == "linf" else weight, room, need)
    return (-steep.sign() * size).view_as(image)


def _evenly(weight: Tensor, pace: Tensor, room: Tensor, need: Tensor) -> Tensor:
    """Sizes min(t * pace, room) with the least t for which their weighted sum is ``need``, by sorting."""
    end, order = (room / pace.clamp_min(_TINY)).sort(dim=1)
    stuck, rate = (weight * room).gather(1, order), (weight * pace).gather(1, order)
    fixed = stuck.cumsum(1) - stuck
    loose = rate.flip(1).cumsum(1).flip(1)
    at = (fixed + end * loose < need).sum(1, keepdim=True)
    last = at.clamp_max(weight.shape[1] - 1)
    time = (need - fixed.gather(1, last)).clamp_min(0) / loose.gather(1, last).clamp_min(_TINY)
    return torch.where(at > last, room, (time * pace).minimum(room))


def _steepest_first(weight: Tensor, room: Tensor, need: Tensor) -> Tensor:
    """Sizes of least sum whose weighted sum is ``need``: the largest weight is used up first."""
    order = weight.argsort(dim=1, descending=True)
    ranked = weight.gather(1, order)
    most = ranked * room.gather(1, order)
    taken = (need - (most.cumsum(1) - most)).clamp_min(0).minimum(most) / ranked.clamp_min(_TINY)
    return torch.zeros_like(weight).scatter(1, order, taken).minimum(room)


def _plane_of(loss: Loss, eot: int, victim: Victim, batch: Batch, image: Tensor) -> Plane:
    gap, reached, slope = measure(loss, victim, batch, image, eot)
    return reached, gap.nan_to_num(0, 0, 0), slope / eot


def _nearest_class(norm: Norm, eot: int, victim: Victim, batch: Batch, image: Tensor) -> Plane:
    found = [_nearest(norm, eot, victim, batch[part], image[part]) for part in victim.parts(len(image))]
    margins, gaps, slopes = (torch.cat(column) for column in zip(*found, strict=True))
    return margins, gaps, slopes


def _nearest(norm: Norm, eot: int, victim: Victim, batch: Batch, image: Tensor) -> Plane:
    image = image.detach().requires_grad_()
    with torch.enable_grad():
        scores = torch.stack([victim(image, batch.ids) for _ in range(eot)]).mean(0)
    closest = torch.full_like(scores[:, 0], torch.inf, requires_grad=False)
    gap, slope = torch.zeros_like(closest), torch.zeros_like(image)
    for turn in range(1, scores.shape[1]):
        found = _linear(scores, batch.y, turn, image)
        away = _length(*found, norm)
        nearer = away < closest
        closest, gap = torch.where(nearer, away, closest), torch.where(nearer, found[0], gap)
        slope = torch.where(nearer.view(-1, 1, 1, 1), found[1], slope)
    reached = margin(scores.detach(), batch.y)
    return torch.where(reached.isfinite(), reached, torch.inf), gap.nan_to_num(0, 0, 0), slope


def _linear(scores: Tensor, y: Tensor, turn: int, image: Tensor) -> tuple[Tensor, Tensor]:
    """The label's score less that of the class ``turn`` places on (N,), and its gradient."""
    classes = scores.shape[1]
    with torch.enable_grad():
        own, other = scores.gather(1, torch.stack([y, (y + turn) % classes], 1)).unbind(1)
        gap = own - other
        (slope,) = torch.autograd.grad(gap.sum(), image, retain_graph=turn < classes - 1)
    return gap.detach(), slope.nan_to_num(0, 0, 0)


def _length(gap: Tensor, slope: Tensor, norm: Norm) -> Tensor:
    """Distance (N,) to a plane as if there were no box; inf where there is none."""
    flat = slope.flatten(1)
    largest = flat.abs().amax(1).clamp_min(_TINY)
    steepness = (flat / largest.unsqueeze(1)).norm(p={"linf": 1, "l2": 2, "l1": torch.inf}[norm], dim=1)
    away = gap.abs() / largest / steepness
    return torch.where(away.isfinite(), away, torch.inf)
