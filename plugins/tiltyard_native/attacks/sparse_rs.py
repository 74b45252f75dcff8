"""Sparse random search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .descent import Attempt, best_of
from .random_search import State, falling, search, whole
from .region import finite


@dataclass(frozen=True)
class SparseRS:
    """Random search for a few values to set to 0 or 1.

    Croce et al. 2022, "Sparse-RS: a Versatile Framework for Query-Efficient Sparse Black-Box Adversarial
    Attacks", arXiv 2006.12834. ``eps`` counts values, not pixels of several channels as there. A set of eps
    values is held at all times; a query exchanges the share ``alpha_init`` of it for values outside, and less
    later. It sees scores and no gradient. A query is one forward.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l0"})
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "scores"

    queries: PositiveInt = 5000
    alpha_init: float = 0.3
    restarts: PositiveInt = 1

    def __post_init__(self) -> None:
        if not 0 < self.alpha_init <= 1:
            raise ValueError(f"alpha_init = {self.alpha_init} must be a share of the set: above 0 and at most 1")

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards per sample at most, and no backwards."""
        return self.restarts * self.queries, 0

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images of which at most ``threat.eps`` values differ from the clean ones."""
        finite(threat, "sparse_rs")
        size = min(int(threat.eps), batch.x[0].numel() - 1)  # one is left out, so that there is something to exchange
        return best_of(victim, batch, self._attempts(victim, batch, size))

    def _attempts(self, victim: Victim, batch: Batch, size: int) -> Iterator[Attempt]:
        for restart in range(self.restarts):
            yield partial(self._attempt, victim, batch, size, 2 * restart * self.queries)

    def _attempt(self, victim: Victim, batch: Batch, size: int, draw: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        part = batch[rows]
        order = part.uniform(draw=draw).flatten(1).argsort(dim=1)
        image = _set(part.x, part.x, order[:, :size], part.uniform(draw=draw + 1, values=size))
        propose = partial(self._propose, size, draw)
        return search(victim, part, (image, order), propose, self.queries)

    def _propose(self, size: int, draw: int, batch: Batch, state: State, query: int) -> State:
        """Some of the first ``size`` places of ``order``, which hold the set, change with as many of the others."""
        image, order = state
        share = falling(self.alpha_init, query, self.queries)
        others = order.shape[1] - size
        count = min(max(1, round(share * size)), size, others)
        numbers = batch.uniform(draw=draw + 2 * query, values=3 * count + 2)
        inner = _places(numbers[:, : count + 1], size)
        outer = size + _places(numbers[:, count + 1 : 2 * count + 2], others)
        leaving, entering = order.gather(1, inner), order.gather(1, outer)
        image = _set(image, batch.x, entering, numbers[:, 2 * count + 2 :])
        clean = batch.x.flatten(1).gather(1, leaving)
        image = image.flatten(1).scatter(1, leaving, clean).view_as(batch.x)
        return image, order.scatter(1, inner, entering).scatter(1, outer, leaving)


def _set(image: Tensor, clean: Tensor, at: Tensor, unit: Tensor) -> Tensor:
    """Images whose values at places (N, M) are 0 or 1, as numbers in [0, 1) tell; never what they are when clean."""
    was = clean.flatten(1).gather(1, at)
    white = torch.where((was > 0) & (was < 1), unit < 0.5, was == 0)
    return image.flatten(1).scatter(1, at, white.to(image.dtype)).view_as(image)


def _places(unit: Tensor, size: int) -> Tensor:
    """Different places (N, M) below ``size`` from uniform numbers (N, M + 1): one from each of M equal arcs of a ring.

    All places are equally likely, whatever M, since the ring is turned at random.
    """
    count = unit.shape[1] - 1
    if not count:
        return unit.new_zeros(len(unit), 0, dtype=torch.long)
    arc = size // count
    start = arc * torch.arange(count, device=unit.device)
    return (start + whole(unit[:, 1:], arc) + whole(unit[:, :1], size)) % size
