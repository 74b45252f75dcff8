"""What the probes and the records of a plan tell: the rows of ``masking.csv`` and the flags of every cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..contracts import Norm
from ..parameters import words
from ..results import Store
from ..spec import Cell, Plan, Victim
from .answers import ANSWERS
from .battery import Probe
from .indicators import INDICATORS, Evidence, Finding, Indicator
from .probing import probed, stored
from .study import study


@dataclass(frozen=True)
class Judged:
    """One indicator on one victim under one norm, at the eps of its probe."""

    victim: Victim
    norm: Norm
    eps: float
    indicator: Indicator
    finding: Finding

    def concerns(self, cell: Cell) -> bool:
        """Whether the indicator is raised against a cell."""
        if not self.finding.raised or (cell.victim, cell.threat.norm) != (self.victim, self.norm):
            return False
        return not self.finding.attacks or cell.attack.label in self.finding.attacks


@dataclass(frozen=True)
class Report:
    """All judgements on the victims of a plan: a pure function of plan and store."""

    plan: Plan
    store: Store

    @cached_property
    def judged(self) -> tuple[Judged, ...]:
        """Every indicator of every victim and norm that was probed."""
        wanted = probed(self.plan) if self.plan.benchmark.masking else ()
        return tuple(one for victim, norm in wanted for one in self._judged(victim, norm))

    def flags(self, cell: Cell) -> str | None:
        """The names of the indicators raised against a cell, or None."""
        return "; ".join(one.indicator.name for one in self.judged if one.concerns(cell)) or None

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of ``results.MASKING``."""
        for one in self.judged:
            victim = one.victim
            yield {
                "benchmark": self.plan.name,
                **{axis: part.label for axis, part in victim.parts.items()},
                "seed": victim.seed,
                "norm": one.norm,
                "eps": one.eps,
                "indicator": one.indicator.name,
                "raised": one.finding.raised,
                "evidence": one.finding.evidence,
                "attacks": ", ".join(one.finding.attacks) or None,
                "answers": ", ".join(map(words, ANSWERS[one.indicator.name])) if one.finding.raised else None,
                "victim": victim.id,
            }

    def _judged(self, victim: Victim, norm: Norm) -> Iterator[Judged]:
        made = stored(self.store, victim, norm)
        if isinstance(made, Probe):
            evidence = Evidence(made, study(self.plan, self.store, victim, norm))
            for indicator in INDICATORS:
                yield Judged(victim, norm, made.eps, indicator, indicator.judge(evidence))
        elif made is not None:
            finding = Finding(None, f"the probe failed: {made}")
            yield from (Judged(victim, norm, float("nan"), indicator, finding) for indicator in INDICATORS)
