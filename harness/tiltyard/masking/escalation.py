"""The harness's answer to a flag: further cells that attack where the flag points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..contracts import Classifier, Norm
from ..parameters import words
from ..plugins import Plugins
from ..spec import Cell, Component, Plan, ThreatTable, Victim
from ..spec.build import components
from ..spec.plan import fed, skip_reason
from .answers import ANSWERS, EOT, STRAIGHT
from .borrowed import Borrowed
from .report import Judged

LABEL = "escalated: "
"""What the attack of an escalated cell begins with in tables."""

Lend = Callable[[Victim], Classifier]

MASKED = frozenset({"zero gradient", "black box beats white box", "transfer beats white box", "not at chance"})
"""Indicators that say that the victim's own gradient is of no use."""


@dataclass(frozen=True)
class Flagged:
    """A victim under a norm, and the indicators that are raised on it."""

    victim: Victim
    norm: Norm
    raised: frozenset[str]


def escalated(plan: Plan, judged: Iterable[Judged], lend: Lend | None = None) -> tuple[Cell, ...]:
    """The cells that answer the flags of a plan; a pure function of plan and judgements.

    ``lend`` gives the classifier of a victim whose gradient is borrowed: it is needed to run the cells, not to
    name them.
    """
    flagged = _flagged(judged)
    cells = [cell for one in flagged for cell in _answers(plan, one, flagged, lend or _nobody)]
    named = fed((*plan.cells, *cells))[len(plan.cells) :]
    return tuple(cell for cell in dict.fromkeys(named) if not cell.skip and cell not in plan.cells)


def _flagged(judged: Iterable[Judged]) -> list[Flagged]:
    raised: dict[tuple[Victim, Norm], set[str]] = {}
    for one in judged:
        if one.finding.raised and one.units == "pixels":
            raised.setdefault((one.victim, one.norm), set()).add(one.indicator.name)
    return [Flagged(victim, norm, frozenset(names)) for (victim, norm), names in raised.items()]


def _answers(plan: Plan, flagged: Flagged, others: Iterable[Flagged], lend: Lend) -> list[Cell]:
    """The cells that answer the flags of one victim."""
    here = flagged.victim, flagged.norm, "pixels"
    mine = [cell for cell in plan.runnable if (cell.victim, cell.threat.norm, cell.threat.units) == here]
    radii = tuple(sorted({eps for cell in mine for eps in cell.threat.eps}))
    threat = ThreatTable(norm=flagged.norm, eps=radii)
    tables = {str(table): table for name in ANSWERS if name in flagged.raised for table in ANSWERS[name]}
    eot = EOT["eot"] if "randomised" in flagged.raised else None
    attacks = _components(tables.values(), eot)
    if flagged.raised & MASKED and (lender := _lender(plan, flagged, others)):
        attacks += [_borrowed(attack, lender, lend) for attack in _components([STRAIGHT], eot)]
    return [
        replace(mine[0], attack=attack, threat=threat, skip=skip_reason(flagged.victim, attack, threat), sources=())
        for attack in attacks
    ]


def _components(tables: Iterable[Mapping[str, Any]], eot: Any) -> list[Component]:
    """The attacks, those with gradients averaged over a randomised victim's."""
    made = []
    for table in tables:
        own = {"eot": eot, **table, "steps": 40, "restarts": 1} if eot and table["use"] == "native.pgd" else dict(table)
        own = {key: value for key, value in own.items() if (key, value) != ("restarts", 1)}
        about = words({key: value for key, value in own.items() if key != "use"})
        made.append(own | {"name": f"{LABEL}{own['use']}{f'[{about}]' if about else ''}"})
    unique = {table["name"]: table for table in made}
    return components("attack", list(unique.values()), Plugins()) if unique else []


def _borrowed(attack: Component, lender: Victim, lend: Lend) -> Component:
    identity = dict(attack.identity) | {"use": f"straight-through {attack.use}", "lender": lender.id}
    label = f"{attack.label} with the gradient of {lender.words}"
    return Component(attack.use, label, Borrowed(attack.object, lambda: lend(lender)), identity)


def _lender(plan: Plan, flagged: Flagged, others: Iterable[Flagged]) -> Victim | None:
    """The victim of the plan whose gradient serves best: unmasked, and as much like this one as there is."""
    masked = {other.victim for other in others if other.norm == flagged.norm and other.raised & MASKED}
    mine = flagged.victim
    choice = [v for v in plan.victims if v.dataset == mine.dataset and v != mine and v not in masked]
    likeness = {
        v: (v.fit_identity == mine.fit_identity, v.labels == mine.labels, v.model == mine.model) for v in choice
    }
    return max(choice, key=lambda victim: likeness[victim], default=None)


def _nobody(victim: Victim) -> Classifier:
    raise RuntimeError(f"{victim.words}: nobody lends its gradient where no cell is run")
