"""An attack on what stands in for the victim, anew and more exactly as long as there is doubt, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..contracts import Attack, Batch, Classifier, Threat, declared
from ..stand_in import StandIn
from .attempt import Attempt, attempt
from .verdict import Verdict, judge

JUDGED = ("ok", "repaired")
"""Status words of images that are there to be judged."""


@dataclass(frozen=True)
class Searched:
    """The images that an attack came to, and the victim's word on them.

    ``flipped`` (N,) tells where a search that was in doubt about every margin said otherwise; None without one.
    """

    tried: Attempt
    verdict: Verdict
    flipped: Tensor | None = None


def searched(
    classifier: Classifier, search: Sequence[StandIn], attack: Attack, batch: Batch, threat: Threat, seconds: float
) -> Searched:
    """The attack on the first of ``search``, and on the next one for every sample about which there is doubt.

    A minimal-norm attack ends where the decision hangs on rounding: it is not begun where every margin is in doubt.
    """
    certain = bool(declared(attack, "minimal"))
    search = [one for one in search if one.doubt < math.inf or not certain]
    tried = attempt(search[0].classifier, attack, batch, threat, seconds, search[0].chunk)
    verdict = judge(classifier, batch, tried.images, "adversarial")
    blind = search[0].doubt == math.inf
    flipped = _flipped(search[0].classifier, batch, tried, verdict) if blind else None
    for before, exact in pairwise(search):
        rows = _doubtful(before.doubt, batch, tried, verdict)
        if len(rows):
            again = attempt(exact.classifier, attack, batch[rows], threat, seconds, exact.chunk)
            tried = tried.mended(rows, again)
            verdict = judge(classifier, batch, tried.images, "adversarial")
    return Searched(tried, verdict, flipped)


def _doubtful(doubt: float, batch: Batch, tried: Attempt, verdict: Verdict) -> Tensor:
    """Positions of the samples that are not broken, and might be on a network that is nearer to the victim."""
    if doubt == 0:
        return torch.empty(0, dtype=torch.int64)
    left = verdict.goal(batch)
    near = (left >= 0) & (left < doubt) if doubt < math.inf else ~(left < 0)
    judged = torch.tensor([word in JUDGED for word in tried.status], device=near.device)
    return (near & judged | ~judged & (doubt == math.inf)).nonzero().squeeze(1)


def _flipped(seen: Classifier, batch: Batch, tried: Attempt, verdict: Verdict) -> Tensor:
    """Where ``seen`` gives another verdict (N,) on the images that were found."""
    there = judge(seen, batch, tried.images, "adversarial")
    return (there.goal(batch) < 0) != (verdict.goal(batch) < 0)
