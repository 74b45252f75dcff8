"""What a look at a victim's scores and gradients tells before any attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..contracts import Batch, Classifier
from ..guard import untouched
from ..victim import Victim, outputs
from .watched import Watched

SAME = 1e-4
"""Two forwards differ if scores move by more than this share of their spread: rounding moves them less."""
FLAT = 1e-3
"""A margin whose gradient promises less change than this share of it, over the whole box, has none."""
SATURATED = 1e-30
"""The largest value of a cross-entropy gradient below which float32 holds nothing to follow."""


@dataclass(frozen=True)
class Structure:
    """Counts over ``samples`` clean images that the victim gets right, each with the number of those concerned.

    ``declared`` is whether the classifier says that it is randomised, ``rejects`` whether it has a detector,
    ``without_gradient`` how many margins have none or a vanishing one, ``saturated`` for how many only the
    cross-entropy has none, ``undefined`` how many of ``asked`` queries came back with scores that are not finite.
    """

    samples: int
    classes: int
    rejects: bool
    declared: bool
    differing: int
    probabilities: int
    without_gradient: int
    saturated: int
    undefined: int
    asked: int
    broken_gradient: str | None = None
    """The error that taking a gradient raised."""


def measure(classifier: Classifier, batch: Batch) -> Structure:
    """Look at scores and input gradients of the clean images of ``batch``."""
    watched = Watched(classifier)
    with untouched(watched):
        batch.seed_globals()
        with torch.no_grad():
            first, rejection = outputs(watched, batch.x)
            second, _ = outputs(watched, batch.x)
            outputs(watched, batch.uniform(draw=0))  # far from all data, where some scores are no numbers
        margin, error = _gradient(lambda x: batch.margin(Victim(watched, batch)(x)), batch.x)
        entropy, _ = _gradient(lambda x: F.cross_entropy(Victim(watched, batch)(x), batch.y), batch.x)
    gone = _flat(margin, batch.margin(first))
    return Structure(
        samples=len(batch),
        classes=first.shape[1],
        rejects=rejection is not None,
        declared=classifier.randomised,
        differing=int(_differ(first, second).sum()),
        probabilities=int(_probabilities(first).sum()),
        without_gradient=int(gone.sum()),
        saturated=int((~gone & (entropy.flatten(1).abs().amax(1) < SATURATED)).sum()),
        undefined=watched.undefined,
        asked=watched.asked,
        broken_gradient=error,
    )


def _gradient(value: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, str | None]:
    """The gradient (N, C, H, W) of the sum of ``value``, zero where there is none, and the error if it raised."""
    x = x.clone().requires_grad_()
    try:
        (found,) = torch.autograd.grad(value(x).sum(), x, allow_unused=True)
    except Exception as error:  # noqa: BLE001 - foreign code: that a gradient cannot be taken is the finding
        return torch.zeros_like(x), str(error).splitlines()[0]
    return torch.zeros_like(x) if found is None else found.nan_to_num(0, 0, 0), None


def _flat(gradient: Tensor, margin: Tensor) -> Tensor:
    return gradient.flatten(1).abs().sum(1) <= FLAT * margin.abs()


def _differ(first: Tensor, second: Tensor) -> Tensor:
    spread = (first.amax(1) - first.amin(1)).clamp_min(1e-30)
    return (first - second).abs().amax(1) > SAME * spread


def _probabilities(scores: Tensor) -> Tensor:
    return (scores >= 0).all(1) & (scores <= 1).all(1) & ((scores.sum(1) - 1).abs() < SAME)
