"""The cells of a benchmark as the masking report reads them: which samples each attack broke at which eps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contracts import Norm, Units, declared
from ..results import Store
from ..spec import Cell, Plan, Victim
from .trials import Family, Trial

if TYPE_CHECKING:
    import pandas as pd

STANDING = 0.25
"""Share of the right samples that a study must leave at an eps for a claim to rest on it."""


@dataclass(frozen=True, eq=False)
class Attacked:
    """A finished cell and its records (``results.SAMPLES``) of the samples that were right."""

    cell: Cell
    records: pd.DataFrame

    @property
    def name(self) -> str:
        """The attack, and what tells two cells of it apart."""
        threat = self.cell.threat
        aim = f" ({threat.targets} targets)" if threat.goal == "targeted" else ""
        return self.cell.attack.label + aim + (f" ({threat.knowledge})" if threat.knowledge != "adaptive" else "")

    @property
    def passes(self) -> float:
        """Forwards and backwards spent on a sample, on average."""
        return float((self.records["forwards"] + self.records["backwards"]).mean())

    @property
    def family(self) -> Family:
        """What the attack sees."""
        access = declared(self.cell.attack.object, "access")
        if access == "images" or self.cell.threat.knowledge != "adaptive":
            return "transfer"
        if access != "gradients":
            return "black box"
        return "one step" if self.records["backwards"].max() <= 1 else "white box"

    def trial(self, eps: float, *, smaller: bool = False) -> Trial:
        """What it broke when it was judged at ``eps``, or at that and every smaller radius."""
        judged = self.records["eps"] <= eps if smaller else self.records["eps"] == eps
        records = self.records[judged]
        tried, broken = records["sample"], records.loc[records["left_class"], "sample"]
        return Trial(self.name, self.family, eps, tuple(tried.unique()), tuple(broken.unique()))


def study(plan: Plan, store: Store, victim: Victim, norm: Norm, units: Units = "pixels") -> list[Attacked]:
    """The finished cells of a victim under a norm in some units, but for those without a single right sample."""
    found = []
    for cell in plan.runnable:
        if (cell.victim, cell.threat.norm, cell.threat.units) == (victim, norm, units):
            summary = store.cell(cell.id).summary
            if summary and summary["status"] == "done":
                records = store.cell(cell.id).samples()
                found.append(Attacked(cell, records[records["correct"]]))
    return [attacked for attacked in found if len(attacked.records)]


def decisive(cells: Sequence[Attacked]) -> float:
    """The eps that a study's claim rests on: the largest at which a quarter still stands, or the smallest of all."""
    standing = [eps for eps in radii(cells) if _standing(cells, eps) >= STANDING]
    return max(standing, default=radii(cells)[0])


def radii(cells: Iterable[Attacked]) -> list[float]:
    """Every eps of the cells, in order."""
    return sorted({eps for attacked in cells for eps in attacked.cell.threat.eps})


def _standing(cells: Sequence[Attacked], eps: float) -> float:
    trials = [attacked.trial(eps, smaller=True) for attacked in cells]
    tried = {sample for trial in trials for sample in trial.tried}
    broken = {sample for trial in trials for sample in trial.broken}
    return 1 - len(broken) / max(1, len(tried))
