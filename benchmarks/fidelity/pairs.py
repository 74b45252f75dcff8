"""A pair: one of our attacks, and what it is held against on a published network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from tiltyard import Attack, Norm

Reference = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""A reference attack: network, images (N, C, H, W) in [0, 1] and labels (N,) to images of the same shape."""


@dataclass(frozen=True)
class Pair:
    """One of our attacks against a reference implementation, or against a published figure.

    ``eps = None`` compares distances, the attacks being minimal-norm ones; a number compares robust accuracies in
    that ball. A published figure is a median distance, or a robust accuracy in percent, and ``library`` then says
    where it stands; one that is ``certified`` is proven, so that no attack may go below it. ``reference`` imports its
    library when it is called.
    """

    name: str
    ours: Attack
    reference: Reference | float
    library: str
    victim: str
    norm: Norm
    eps: float | None = None
    certified: bool = False

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What tells this pair's row from all others."""
        return self.name, self.library, self.victim, self.norm, "" if self.eps is None else f"{self.eps:g}"
