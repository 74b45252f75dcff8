"""What an attacker may do, and the geometry of his budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from torch import Tensor

Norm = Literal["linf", "l2", "l1", "l0"]
Goal = Literal["untargeted", "targeted"]
Knowledge = Literal["adaptive", "oblivious", "transfer"]
Units = Literal["pixels", "normalised"]


def _number(value: object) -> object:
    """A fraction written as text, such as "8/255", as the nearest float; anything else unchanged."""
    if not isinstance(value, str):
        return value
    try:
        above, _, below = value.partition("/")
        return float(Fraction(above) / Fraction(below or 1))
    except (ValueError, ZeroDivisionError):
        raise ValueError(f'"{value}" is not a number; write 0.03 or "8/255"') from None


Radius = Annotated[
    float,
    BeforeValidator(_number),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[\d.]+(/[\d.]+)?$"}]}),
]
"""A length in pixel units that TOML may spell as a number or as a fraction: ``eps = "8/255"``."""


@dataclass(frozen=True)
class Threat:
    """One attacker: distances in pixel units of images in [0, 1], over all pixels and channels of one image.

    ``eps`` is the radius of the ball around the clean image; ``inf`` means no budget, which is what a
    minimal-norm attack is called with. Under ``l0`` it is the number of values (pixels x channels) changed.
    With ``units = "normalised"`` images and distances are those of the network's own inputs, (x - mean) / std,
    and there is no box.
    """

    norm: Norm
    eps: float = math.inf
    goal: Goal = "untargeted"
    knowledge: Knowledge = "adaptive"
    units: Units = "pixels"

    @property
    def box(self) -> tuple[float, float]:
        """Between what two numbers a value of an image must lie."""
        return (0.0, 1.0) if self.units == "pixels" else (-math.inf, math.inf)


def distance(delta: Tensor, norm: Norm) -> Tensor:
    """Length (N,) of each perturbation (N, ...) under ``norm``."""
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    if norm == "l2":
        length: Tensor = flat.norm(dim=1)
        return length
    if norm == "l1":
        return flat.abs().sum(1)
    return (flat != 0).sum(1).to(flat.dtype)


def project(delta: Tensor, norm: Norm, eps: float | Tensor) -> Tensor:
    """The nearest perturbation (N, ...) of length at most ``eps`` (a number or (N,)), in Euclidean distance.

    The l1 case is the sort-and-threshold projection of Duchi et al. 2008 (ICML); under l0 the largest
    values are kept.
    """
    flat = delta.flatten(1)
    radius = flat.new_tensor(eps).expand(len(flat)).unsqueeze(1) if not isinstance(eps, Tensor) else eps.view(-1, 1)
    if norm == "linf":
        inside = flat.clamp(-radius, radius)
    elif norm == "l2":
        length = flat.norm(dim=1, keepdim=True)
        inside = flat * (radius / length.clamp_min(1e-12)).clamp_max(1.0)
    elif norm == "l1":
        inside = _project_l1(flat, radius)
    else:
        keep = flat.abs().argsort(dim=1, descending=True).argsort(dim=1) < radius
        inside = flat * keep
    return inside.view_as(delta)


def _project_l1(flat: Tensor, radius: Tensor) -> Tensor:
    size = flat.abs()
    ordered = size.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - radius
    rank = flat.new_ones(flat.shape[1]).cumsum(0)
    last = ((ordered - excess / rank) > 0).sum(1, keepdim=True).clamp_min(1)
    shrink = (excess.gather(1, last - 1) / last).clamp_min(0)
    return flat.sign() * (size - shrink).clamp_min(0)
