"""The binarisation test for the victims and attacks of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..contracts import Batch, Classifier, Split, pixels
from ..evaluator import judge
from ..plugins import Plugins
from ..spec import Cell, Plan
from ..spec.build import components
from ..victims import Victims
from .binarised import Audited, audit

GUESSES = {"use": "native.noise", "draws": 200}
"""The attack that guesses at random."""


@dataclass(frozen=True)
class Audit:
    """What the test says of one attack on one victim in one ball; ``cell`` is one of the plan's."""

    cell: Cell
    eps: float
    result: Audited


def audits(plan: Plan, victims: Victims, samples: int) -> Iterator[Audit]:
    """Test every untargeted adaptive attack of a plan on each victim, in its largest ball of each norm.

    ``samples`` images that the victim gets right are taken, spread over the test set. Attacks that only transfer
    images, l0, and normalised units have nothing to test.
    """
    guesses = components("attack", [GUESSES], Plugins())[0].object
    for cell in plan.runnable:
        untested = cell.threat.norm == "l0" or cell.threat.units != "pixels"
        if cell.threat.goal == "targeted" or cell.surrogate or cell.transfers or untested:
            continue
        classifier, eps = victims.classifier(cell.victim), max(cell.threat.eps)
        batch = _right(classifier, victims.data(cell.victim.dataset).test, samples, cell, victims.device)
        seconds = plan.benchmark.time_limit
        yield Audit(cell, eps, audit(classifier, cell.attack.object, guesses, batch, cell.threat.norm, eps, seconds))


def _right(classifier: Classifier, test: Split, samples: int, cell: Cell, device: torch.device) -> Batch:
    """Right and accepted samples, spread over twice as many of the test set."""
    ids = torch.linspace(0, len(test) - 1, min(2 * samples, len(test))).round().long()
    part = test[ids]
    x, y = pixels(part.images.to(device)), part.labels.to(device)
    batch = Batch(x, y, ids.to(device), seed=cell.victim.seed, key=f"audit {cell.attack.use}")
    return batch[judge(classifier, batch).right(batch.y).nonzero().squeeze(1)[:samples]]
