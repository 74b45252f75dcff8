"""Attacks one after another, each on what the ones before it left whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from tiltyard import Attack, Batch, Threat, Victim, distance

from .descent import Attempt, best_of, look
from .losses import margin_loss


class Member(Attack, Protocol):
    """An attack that says what it costs."""

    minimal: ClassVar[bool]

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""


@dataclass(frozen=True)
class Cascade:
    """The best image of each sample over ``members``; a broken sample is not given to those that follow.

    Whether it is broken is the victim's word, averaged over ``eot`` forwards: one look per member and sample.
    """

    members: tuple[Member, ...]
    eot: int = 1

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        costs = [member.passes(classes) for member in self.members]
        return sum(forwards + self.eot for forwards, _ in costs), sum(backwards for _, backwards in costs)

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images (N, C, H, W) within ``threat.eps``."""
        return best_of(victim, batch, self._attempts(victim, batch, threat))

    def _attempts(self, victim: Victim, batch: Batch, threat: Threat) -> Iterator[Attempt]:
        for place, member in enumerate(self.members):
            own = replace(batch, key=f"{batch.key}|{place}")  # no two members begin at the same random image
            yield partial(self._attempt, member, victim, own, threat)

    def _attempt(
        self, member: Member, victim: Victim, batch: Batch, threat: Threat, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        part = batch[rows]
        image = member(victim, part, threat)
        if member.minimal:  # what is beyond eps is of no use here
            far = distance(image - part.x, threat.norm) > threat.eps
            image = torch.where(far.view(-1, 1, 1, 1), part.x, image)
        return image, look(margin_loss, victim, part, image, self.eot)
