"""What the probes and the records of a plan tell: the rows of ``masking.csv`` and the flags of every cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..contracts import Norm, Units
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
    units: Units
    eps: float
    indicator: Indicator
    finding: Finding

    def concerns(self, cell: Cell) -> bool:
        """Whether the indicator is raised against a cell."""
        here = cell.victim, cell.threat.norm, cell.threat.units
        if not self.finding.raised or here != (self.victim, self.norm, self.units):
            return False
        return not self.finding.attacks or cell.attack.label in self.finding.attacks


@dataclass(frozen=True)
class Report:
    """All judgements on the victims of a plan: a pure function of plan and store."""

    plan: Plan
    store: Store

    @cached_property
    def judged(self) -> tuple[Judged, ...]:
        """Every indicator of every victim and norm that was probed, or attacked in normalised units."""
        if not self.plan.benchmark.masking:
            return ()
        there = dict.fromkeys((c.victim, c.threat.norm) for c in self.plan.runnable if c.threat.units == "normalised")
        unprobed = (one for victim, norm in there for one in self._unprobed(victim, norm))
        return (*(one for victim, norm in probed(self.plan) for one in self._judged(victim, norm)), *unprobed)

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
                "units": one.units,
                "eps": one.eps,
                "indicator": one.indicator.name,
                "raised": one.finding.raised,
                "evidence": one.finding.evidence,
                "attacks": ", ".join(one.finding.attacks) or None,
                "answers": _answers(one),
                "victim": victim.id,
            }

    def _judged(self, victim: Victim, norm: Norm) -> Iterator[Judged]:
        made = stored(self.store, victim, norm)
        if isinstance(made, Probe):
            evidence = Evidence(made, study(self.plan, self.store, victim, norm))
            for indicator in INDICATORS:
                yield Judged(victim, norm, "pixels", made.eps, indicator, indicator.judge(evidence))
        elif made is not None:
            finding = Finding(None, f"the probe failed: {made}")
            yield from (Judged(victim, norm, "pixels", float("nan"), indicator, finding) for indicator in INDICATORS)

    def _unprobed(self, victim: Victim, norm: Norm) -> Iterator[Judged]:
        """What the records of cells in normalised units tell by themselves: the battery attacks in pixels."""
        cells = study(self.plan, self.store, victim, norm, "normalised")
        if cells:
            evidence = Evidence(None, cells)
            for indicator in INDICATORS:
                yield Judged(victim, norm, "normalised", evidence.eps, indicator, indicator.judge(evidence))


def _answers(one: Judged) -> str | None:
    """The attacks that ``escalate = true`` answers with; none in units that they do not know."""
    if not one.finding.raised or one.units != "pixels":
        return None
    return ", ".join(map(words, ANSWERS[one.indicator.name]))
