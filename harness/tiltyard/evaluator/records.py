"""The records of a batch: who was attacked, what the victim said, and the images that broke it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..contracts import Attack, Batch, Classifier, Threat, distance
from ..results import SAMPLES, Images, frame
from ..stand_in import StandIn
from .attempt import reach
from .search import JUDGED, Searched, searched
from .verdict import Verdict, judge

if TYPE_CHECKING:
    import pandas as pd


class Evaluated(NamedTuple):
    """The records of a batch (``results.SAMPLES``), and the verified images that broke the victim."""

    records: pd.DataFrame
    images: Images


@dataclass
class _Tally:
    """Rows and broken images as they come in."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    images: list[Images] = field(default_factory=list)


def evaluate(
    classifier: Classifier,
    attack: Attack,
    batch: Batch,
    threats: Sequence[Threat],
    eps: Sequence[float],
    *,
    search: Sequence[StandIn] = (),
    clean: Verdict | None = None,
    targets: str = "random",
    seconds: float = math.inf,
) -> Evaluated:
    """The records of a batch: one row per sample, eps and target (``results.SAMPLES``), and the broken images.

    The attack is called once for each of ``threats``: one per eps, or a single one without budget whose images
    are scored at every eps. ``search`` holds what the attack searches on, one after the other as long as there is
    doubt; by default the victim itself. ``clean`` is the victim's word on the clean images, where it is known.
    ``seconds`` is what one call may take.
    """
    search = search or (StandIn(classifier),)
    clean = clean or judge(classifier, batch)
    correct = clean.right(batch.y)
    tally = _Tally()
    for target in aims(batch, clean.scores, threats[0], targets):
        aimed = replace(batch, target=target)
        for threat, radii in _budgets(threats, eps):
            attacked = aimed[correct]
            found = searched(classifier, search, attack, attacked, threat, seconds) if len(attacked) else None
            for radius in radii:
                outcomes = _outcomes(attacked, found, replace(threat, eps=radius)) if found else []
                tally.rows += _records(aimed, clean, correct, outcomes, radius)
            if found:
                won = torch.tensor([o["success"] or o["left_class"] for o in outcomes], device=batch.x.device)
                tally.images.append(Images.of(attacked[won], found.tried.images[won], threat.eps))
    return Evaluated(frame(SAMPLES, tally.rows), Images.joined(tally.images, batch.x.shape[1:]))


def _budgets(threats: Sequence[Threat], eps: Sequence[float]) -> Iterator[tuple[Threat, Sequence[float]]]:
    """Each call of the attack and the radii it is scored at, the largest one last."""
    if len(threats) == 1 and threats[0].eps == math.inf:
        yield threats[0], sorted(eps)
    else:
        yield from ((threat, (threat.eps,)) for threat in threats)


def aims(batch: Batch, scores: Tensor, threat: Threat, targets: str) -> Iterable[Tensor | None]:
    """The target vectors (N,) to run, none of which holds a sample's own label."""
    if threat.goal == "untargeted":
        return (None,)
    classes = scores.shape[1]
    if targets == "random":
        # Drawn under a key of their own, so that every attack of a seed gets the same targets.
        unit = batch.keyed("targets").uniform(values=1).squeeze(1)
        return ((batch.y + 1 + (unit * (classes - 1)).long()) % classes,)
    if targets == "next":
        return ((batch.y + 1) % classes,)
    if targets == "least_likely":
        return (scores.scatter(1, batch.y.unsqueeze(1), torch.inf).argmin(1),)
    return tuple((batch.y + step) % classes for step in range(1, classes))


def _records(
    batch: Batch, clean: Verdict, correct: Tensor, outcomes: Iterable[dict[str, Any]], eps: float
) -> list[dict[str, Any]]:
    """One row per sample at one eps and target; samples that were not attacked included."""
    common = {
        "sample": batch.ids.tolist(),
        "eps": [eps] * len(batch),
        "target": [None] * len(batch) if batch.target is None else batch.target.tolist(),
        "label": batch.y.tolist(),
        "clean_prediction": clean.prediction.tolist(),
        "clean_rejection": clean.rejection.tolist(),
        "correct": correct.tolist(),
    }
    found = iter(outcomes)
    finite = clean.finite.tolist()
    rows = []
    for n, values in enumerate(zip(*common.values(), strict=True)):
        row = dict(zip(common, values, strict=True))
        rows.append(row | (next(found) if row["correct"] else _not_attacked(finite[n], batch.target is not None)))
    return rows


def _not_attacked(finite: bool, targeted: bool) -> dict[str, Any]:
    outcome = {"left_class": False, "success": False, "claimed": False, "forwards": 0, "backwards": 0}
    outcome |= {"reached_target": False} if targeted else {}
    if finite:
        return outcome | {"status": "not_attacked"}
    return outcome | {
        "status": "undefined",
        "claimed": None,
        "reason": "the victim's scores of the clean image are not finite",
    }


def _outcomes(batch: Batch, found: Searched, threat: Threat) -> list[dict[str, Any]]:
    """What became of each attacked sample at one radius."""
    tried, verdict = found.tried, found.verdict
    length = distance(tried.images - batch.x, threat.norm)
    inside = length <= reach(threat, batch.x)
    left = verdict.wrong(batch.y) & inside
    reached = verdict.right(batch.target) & inside if batch.target is not None else None
    success = left if reached is None else reached
    rows = []
    for n, word in enumerate(tried.status):
        judged = word in JUDGED
        status = "undefined" if judged and not verdict.finite[n] else word
        known = judged and status != "undefined"
        won, moved = known and bool(success[n]), found.moved[n]
        rows.append(
            {
                "prediction": int(verdict.prediction[n]) if known else None,
                "rejected": bool(verdict.rejected[n]) if known else None,
                "rejection": float(verdict.rejection[n]) if known else None,
                "left_class": known and bool(left[n]),
                "reached_target": None if reached is None else known and bool(reached[n]),
                "success": won,
                "claimed": None if moved is None else not moved,
                "status": status,
                "distance": float(length[n]) if won else None,
                "margin": float(verdict.margin[n]) if known else None,
                "forwards": int(tried.forwards[n]),
                "backwards": int(tried.backwards[n]),
                "flipped": None if found.flipped is None else bool(found.flipped[n]),
                "reason": _reason(status, tried.reason),
            }
        )
    return rows


def _reason(status: str, reason: str | None) -> str | None:
    if status == "violated":
        return "the image is not finite, or outside the ball or the box by more than 1 %"
    return "the victim's scores of the adversarial image are not finite" if status == "undefined" else reason
