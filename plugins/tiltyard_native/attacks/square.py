"""The square attack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .descent import Attempt, best_of
from .random_search import State, falling, search
from .region import NORMS, finite
from .square_moves import blocks, moved, repainted, stripes


@dataclass(frozen=True)
class Square:
    """Random search that changes one square window of the image at a time.

    Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box adversarial attack via random
    search", arXiv 1912.00049; the l1 form is that of Croce & Hein 2021, "Mind the box", arXiv 2103.01208. It
    sees scores and no gradient, so it is not fooled by a defence that hides its gradient. The window covers the
    share ``p_init`` of the image at first and less and less later. A query is one forward.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "scores"

    queries: PositiveInt = 5000
    p_init: float = 0.8
    restarts: PositiveInt = 1

    def __post_init__(self) -> None:
        if not 0 < self.p_init <= 1:
            raise ValueError(f"p_init = {self.p_init} must be a share of the image: above 0 and at most 1")

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards per sample at most, and no backwards."""
        return self.restarts * self.queries, 0

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``."""
        finite(threat, "square")
        return best_of(victim, batch, self._attempts(victim, batch, threat))

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat) -> Iterator[Attempt]:
        for restart in range(self.restarts):
            yield partial(self._attempt, victim, batch, threat, restart * self.queries)

    def _attempt(self, victim: Victim, batch: Batch, threat: Threat, draw: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        part = batch[rows]
        start = stripes(part, threat, draw) if threat.norm == "linf" else blocks(part, threat, draw)
        return search(victim, part, (start,), partial(self._propose, threat, draw), self.queries)

    def _propose(self, threat: Threat, draw: int, batch: Batch, state: State, query: int) -> State:
        share = falling(self.p_init, query, self.queries)
        move = repainted if threat.norm == "linf" else moved
        return (move(batch, state[0], threat, share, draw + query),)
