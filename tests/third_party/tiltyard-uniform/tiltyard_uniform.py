"""A whole third-party plugin: uniform noise inside the linf ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim, hookimpl


@dataclass(frozen=True)
class UniformNoise:
    """Adds noise drawn uniformly from the ball; the weakest attacker there is."""

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    access: ClassVar[str] = "none"
    defects: ClassVar[tuple[str, ...]] = ("strength",)

    def passes(self, classes: int) -> tuple[int, int]:
        """No passes at all."""
        return 0, 0

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Clean images plus noise."""
        return (batch.x + threat.eps * batch.uniform(-1, 1)).clamp(0, 1)


@hookimpl
def attacks() -> dict[str, type[UniformNoise]]:
    """The plugin's only component."""
    return {"noise": UniformNoise}
