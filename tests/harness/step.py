"""A plugin of one attack that works in pixels and behind the normalisation, and may step further than it is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Units, Victim, hookimpl


@dataclass(frozen=True)
class Step:
    """One signed step down the margin, ``length`` times eps long; every image of an odd sample is spoilt by ``odd``."""

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    units: ClassVar[frozenset[Units]] = frozenset({"pixels", "normalised"})
    targeted: ClassVar[bool] = True
    length: float = 1.0
    odd: bool = False

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        x = batch.x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
        moved = batch.x - self.length * threat.eps * gradient.sign()
        if self.odd:
            moved[batch.ids % 2 == 1] = torch.nan
        return moved.clamp(0, 1) if threat.units == "pixels" else moved


@hookimpl
def attacks() -> dict[str, type]:
    return {"once": Step}
