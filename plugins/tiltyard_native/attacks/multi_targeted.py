"""The multi-targeted attack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Threat, Units, Victim

from .descent import Attempt, Descent, best_of, rivals
from .losses import towards_margin
from .region import NORMS, UNITS, finite, random_image


@dataclass(frozen=True)
class MultiTargeted:
    """Projected gradient descent towards every other class in turn.

    Gowal et al. 2019, "An Alternative Surrogate Loss for PGD-based Adversarial Testing", arXiv 1910.09338. Each
    search descends z_label - z_target for one target; searches are compared by the whole margin, so one that
    strays into a third class counts. ``targets`` keeps the classes that score highest on the clean image (all
    of them by default), in that order, and ``restarts`` goes through them anew. The step falls along a cosine
    unless ``step_size`` (in pixels) is given.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    units: ClassVar[frozenset[Units]] = UNITS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = False
    access: ClassVar[str] = "gradients"

    steps: PositiveInt = 100
    step_size: Radius | None = None
    restarts: PositiveInt = 1
    random_start: bool = True
    targets: PositiveInt | None = None
    eot: PositiveInt = 1

    def __post_init__(self) -> None:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"restarts = {self.restarts} with random_start = false would repeat its searches; "
                "set random_start = true"
            )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; the first forward ranks the targets."""
        searches = self.restarts * self._kept(classes)
        return 1 + searches * (self.steps + 1) * self.eot, searches * self.steps * self.eot

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``; the targets are its own, ``batch.target`` is not looked at."""
        finite(threat, "multi_targeted")
        ranked = rivals(victim, batch, self._kept(victim.classes))
        return best_of(victim, batch, self._attempts(victim, batch, threat, ranked))

    def _kept(self, classes: int) -> int:
        return classes - 1 if self.targets is None else min(self.targets, classes - 1)

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat, ranked: Tensor) -> Iterator[Attempt]:
        columns = list(ranked.unbind(1)) * self.restarts
        for draw, target in enumerate(columns):
            yield partial(self._attempt, victim, replace(batch, target=target), threat, draw)

    def _attempt(self, victim: Victim, batch: Batch, threat: Threat, draw: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        part = batch[rows]
        start = random_image(part, threat, draw) if self.random_start else part.x
        return Descent(towards_margin, self.steps, self.step_size, self.eot)(victim, part, threat, start)
