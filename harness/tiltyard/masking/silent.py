"""Attacks that meet an adversarial image and return another one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..contracts import Batch, Classifier, Threat, declared
from ..evaluator import evaluate
from .study import Attacked
from .watched import Watched

SAMPLES = 8
"""Samples on which an attack is watched."""
AFFORDABLE = 1000
"""Passes per sample up to which an attack is run again to be watched."""


@dataclass(frozen=True)
class Silent:
    """On ``silent`` of ``samples`` an attack asked about an adversarial image in the ball and returned another."""

    attack: str
    samples: int
    silent: int

    @classmethod
    def read(cls, content: dict[str, Any]) -> Silent:
        """From the JSON object of ``dataclasses.asdict``."""
        return cls(**content)


def silences(
    classifier: Classifier, batch: Batch, study: Iterable[Attacked], eps: float, seconds: float = math.inf
) -> Iterator[Silent]:
    """Run each attack of a study on a few samples and watch what it asks.

    Pintor et al. 2022, "Indicators of Attack Failure", arXiv 2106.09947. Untargeted attacks alone, and none that
    attacks another network or takes very many passes.
    """
    spread = torch.linspace(0, len(batch) - 1, min(SAMPLES, len(batch)), device=batch.x.device).long()
    few = batch[spread]
    for attacked in study:
        if attacked.family == "transfer" or attacked.cell.threat.goal == "targeted" or attacked.passes > AFFORDABLE:
            continue
        attack, norm = attacked.cell.attack, attacked.cell.threat.norm
        watched = Watched(classifier, few, Threat(norm, eps))
        called = Threat(norm) if declared(attack.object, "minimal") else Threat(norm, eps)
        records = evaluate(watched, attack.object, few.keyed(attack.use), (called,), (eps,), seconds=seconds).records
        known = torch.tensor((records["correct"] & ~records["left_class"]).tolist())
        yield Silent(attack.label, len(few), int((watched.met & known).sum()))
