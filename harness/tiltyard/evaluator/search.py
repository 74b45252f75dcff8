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

    ``moved`` (N,) is whether the image as the attack returned it, wherever it lies, is wrong and accepted; None where
    that can not be said. ``flipped`` (N,) tells where a search that was in doubt about every margin said otherwise;
    None without one.
    """

    tried: Attempt
    verdict: Verdict
    moved: list[bool | None]
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
    return Searched(tried, verdict, _moved(classifier, batch, tried, verdict), flipped)


def _moved(classifier: Classifier, batch: Batch, tried: Attempt, verdict: Verdict) -> list[bool | None]:
    """Whether each image moves its sample out of the class as it came: what others believe without verifying it."""
    wrong, known = verdict.wrong(batch.y), verdict.finite.clone()
    touched = [row for row, word in enumerate(tried.status) if word in ("repaired", "violated")]
    if touched:
        rows = torch.tensor(touched, device=batch.x.device)
        returned = tried.returned[rows]
        there = returned.flatten(1).isfinite().all(1)
        believed = judge(classifier, batch[rows], torch.where(there.view(-1, 1, 1, 1), returned, 0), "adversarial")
        wrong[rows], known[rows] = believed.wrong(batch.y[rows]), there & believed.finite
    came = [word in (*JUDGED, "violated") for word in tried.status]
    words = zip(wrong.tolist(), known.tolist(), came, strict=True)
    return [said if sure and here else None for said, sure, here in words]


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
