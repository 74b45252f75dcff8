"""All properties of one attack under one norm, and the word on it that stands in results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..contracts import Attack, Incompatible, Norm, declared
from .properties import CORE, PROPERTIES, Property
from .traces import TimeIsUp
from .trial import Trial

SECONDS = 120.0
"""What the checks of one attack under one norm may take."""
FEW = 4
"""So many properties are named; of more there is the number."""
UNCHECKED = "unchecked"
"""The badge of an attack where ``doctor = false`` switched the checks off."""

Result = Literal["passed", "failed", "not applicable", "not finished"]


@dataclass(frozen=True)
class Finding:
    """What came of one property, and why, in words."""

    property: str
    result: Result
    evidence: str
    gates: bool
    known: bool
    """Whether the attack itself declares (``defects``) that it lacks the property."""


@dataclass(frozen=True)
class Health:
    """What was found about one attack under one norm."""

    norm: Norm
    findings: tuple[Finding, ...]
    cut: Mapping[str, int]
    """Parameters that were lowered for the checks to end in time."""
    seconds: float

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings of properties that the attack does not have."""
        return self._with("failed")

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Those of them that keep its rows from a leaderboard."""
        return tuple(found for found in self.failed if found.gates)

    @property
    def unfinished(self) -> tuple[Finding, ...]:
        """The findings of properties for which the time did not suffice."""
        return self._with("not finished")

    @property
    def badge(self) -> str:
        """The word on the attack in ``results.csv``: it begins with "passed" where its rows may reach a leaderboard.

        That needs no more than the time to see that the attack runs and is as strong as it must be: a leaderboard
        that asked for all would depend on the machine.
        """
        late, notes = self.unfinished, tuple(found for found in self.failed if not found.gates)
        more = (f"; not finished: {_few(late)}" if late else "") + (f"; noted: {_names(notes)}" if notes else "")
        if self.faults:
            return f"fails: {_names(self.faults)}{more}"
        if set(late) & set(self.findings[:CORE]):
            return "not finished"
        if not self._with("passed"):
            return f"not checked: {self.findings[0].evidence}"
        return f"passed{more}"

    def _with(self, result: Result) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.result == result)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"badge": self.badge, "norm": self.norm, "seconds": round(self.seconds, 3), "cut": dict(self.cut)} | {
            "findings": [asdict(found) for found in self.findings]
        }


def sound(badge: str | None) -> bool:
    """Whether an attack of this badge may put an entry on a leaderboard: it passed, or the checks were switched off."""
    return badge is None or badge == UNCHECKED or badge.startswith("passed")


def check(attack: Attack, norm: Norm, seconds: float = SECONDS) -> Health:
    """The health of ``attack`` under ``norm``: every property of ``PROPERTIES``, on small victims, in ``seconds``."""
    started = time.monotonic()
    trial = Trial(attack, norm, seconds)
    known = declared(attack, "defects")
    findings: list[Finding] = []
    for each in PROPERTIES:
        result, evidence = _found(each, trial, findings)
        findings.append(Finding(each.name, result, evidence, each.gates, each.name in known))
    return Health(norm, tuple(findings), trial.cut, time.monotonic() - started)


def _found(each: Property, trial: Trial, before: list[Finding]) -> tuple[Result, str]:
    if before and before[0].result != "passed":
        return ("not finished", "") if before[0].result == "not finished" else ("not applicable", before[0].evidence)
    try:
        evidence = each.check(trial)
        if evidence and trial.cut:  # with less than its budget an attack may well be weak
            evidence = each.check(trial.whole)
    except Incompatible as reason:
        return "not applicable", str(reason)
    except TimeIsUp:
        return "not finished", ""
    except Exception as error:  # noqa: BLE001 - foreign code, called without the guard
        return "failed", f"{type(error).__name__}: {error}"
    return ("failed", evidence) if evidence else ("passed", "")


def _names(findings: tuple[Finding, ...]) -> str:
    return ", ".join(found.property for found in findings)


def _few(findings: tuple[Finding, ...]) -> str:
    return _names(findings) if len(findings) <= FEW else f"{len(findings)} properties"
