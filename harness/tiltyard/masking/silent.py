"""Attacks that meet an adversarial image and return another one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..contracts import Batch, Classifier, Threat, declared
from ..evaluator import evaluate
from .study import Attacked
from .trials import Trial
from .watched import Watched

SAMPLES = 4
"""Samples on which an attack is watched, at most."""
AFFORDABLE = 1000
"""Passes per sample up to which an attack is run again to be watched."""


@dataclass(frozen=True)
class Silent:
    """On ``silent`` of ``samples`` that it lost, an attack asked about an adversarial image and returned another."""

    attack: str
    samples: int
    silent: int

    @classmethod
    def read(cls, content: dict[str, Any]) -> Silent:
        """From the JSON object of ``dataclasses.asdict``."""
        return cls(**content)


def silences(
    classifier: Classifier,
    batch: Batch,
    study: Sequence[Attacked],
    battery: Iterable[Trial],
    eps: float,
    seconds: float = math.inf,
) -> Iterator[Silent]:
    """Run each attack of a study once more on samples that it lost and another attack broke, and watch what it asks.

    Pintor et al. 2022, "Indicators of Attack Failure", arXiv 2106.09947. ``battery`` is what the probe tried at
    ``eps``. Untargeted attacks alone, and none that attacks another network or takes very many passes.
    """
    theirs = [attacked.trial(eps, smaller=True) for attacked in study]
    breakable = {sample for trial in (*battery, *theirs) for sample in trial.broken}
    for attacked in study:
        if attacked.family == "transfer" or attacked.cell.threat.goal == "targeted" or attacked.passes > AFFORDABLE:
            continue
        lost = breakable - set(attacked.trial(eps).broken)
        rows = [row for row, sample in enumerate(batch.ids.tolist()) if sample in lost][:SAMPLES]
        few = batch[torch.tensor(rows, dtype=torch.int64, device=batch.x.device)]
        yield Silent(
            attacked.cell.attack.label, len(few), _silent(classifier, few, attacked, eps, seconds) if rows else 0
        )


def _silent(classifier: Classifier, few: Batch, attacked: Attacked, eps: float, seconds: float) -> int:
    attack, norm = attacked.cell.attack, attacked.cell.threat.norm
    watched = Watched(classifier, few, Threat(norm, eps))
    called = Threat(norm) if declared(attack.object, "minimal") else Threat(norm, eps)
    records = evaluate(watched, attack.object, few.keyed(attack.use), (called,), (eps,), seconds=seconds).records
    known = torch.tensor((records["correct"] & ~records["left_class"]).tolist())
    return int((watched.met & known).sum())
