"""Random search on the margin, for attacks that are shown scores alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tiltyard import Batch, Victim

from .descent import look, unbroken
from .losses import margin_loss

State = tuple[Tensor, ...]
Propose = Callable[[Batch, State, int], State]
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def search(victim: Victim, batch: Batch, start: State, propose: Propose, queries: int) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and their margins (N,) after ``queries`` forwards, the first of them on ``start``.

    A state is one or more tensors with a row for each sample, the first of them the image. ``propose(batch,
    state, query)`` changes each sample's at random, and what does not raise the margin is taken: a step along
    a plateau costs nothing and may lead off it. A sample leaves as soon as it is broken.
    """
    state, lowest = start, look(margin_loss, victim, batch, start[0])
    best, final = start[0].clone(), lowest.clone()
    rows = torch.arange(len(batch), device=lowest.device)
    for query in range(1, queries):
        on = unbroken(victim, lowest)
        if not bool(on.all()):
            best[rows], final[rows] = state[0], lowest
            rows, batch, lowest = rows[on], batch[on], lowest[on]
            state = tuple(part[on] for part in state)
        if not len(rows):
            return best, final
        proposed = propose(batch, state, query)
        margin = look(margin_loss, victim, batch, proposed[0])
        taken = margin <= lowest
        state = tuple(torch.where(_shaped(taken, new), new, old) for new, old in zip(proposed, state, strict=True))
        lowest = torch.where(taken, margin, lowest)
    best[rows], final[rows] = state[0], lowest
    return best, final


def falling(share: float, query: int, queries: int) -> float:
    """``share`` halved on the way: after 10, 50, 200, 500 and so on of every 10,000 queries."""
    passed = 10_000 * (query - 1) / queries
    return float(share * 0.5 ** sum(passed > at for at in _HALVINGS))


def whole(unit: Tensor, count: int) -> Tensor:
    """Whole numbers below ``count`` from uniform ones in [0, 1)."""
    return (unit * count).long().clamp_max(count - 1)


def _shaped(taken: Tensor, part: Tensor) -> Tensor:
    return taken.view(-1, *[1] * (part.dim() - 1))
