"""The records of a cell as the tables that compare need them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..evaluator import EPS_SLACK
from ..health import sound
from ..results import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BALL = ("benchmark", "dataset", "norm", "units", "eps")
"""What must be equal for robust accuracies to be comparable."""
ENTRY = ("model", "labels", "defence")
"""What a leaderboard ranks."""


class Charge(NamedTuple):
    """One attack on an entry: the same component with another aim or knowledge is another charge."""

    attack: str
    goal: str
    targets: str
    knowledge: str

    @property
    def words(self) -> str:
        """The attack's name, with what is out of the ordinary."""
        aim = (f"{self.targets} targets",) if self.goal == "targeted" else ()
        return ", ".join((self.attack, *aim, *(() if self.knowledge == "adaptive" else (self.knowledge,))))


@dataclass(frozen=True)
class Outcomes:
    """The columns of a cell's records (R,) that count.

    ``decided`` is whether there is a verdict, ``left`` whether the sample left its class inside ``eps``, ``distance``
    the length of the perturbation, infinite where none is recorded.
    """

    sample: Ints
    eps: Floats
    correct: Bools
    left: Bools
    decided: Bools
    distance: Floats
    forwards: Ints
    backwards: Ints

    def inside(self, eps: float) -> Bools:
        """The records (R,) that say something about the ball: those judged in it or in a smaller one."""
        return self.eps <= eps * (1 + EPS_SLACK)

    def at(self, eps: float) -> Bools:
        """The records (R,) of this very ball."""
        return np.abs(self.eps - eps) <= eps * EPS_SLACK


@dataclass(frozen=True)
class CellRecords:
    """The records of one cell and the identity columns of its rows; none if it failed.

    The identity may hold ``health`` and ``flags`` as in ``results.RESULTS``. ``minimal`` is whether the attack seeks
    the smallest perturbation instead of spending a budget, ``seconds`` the time the cell took.
    """

    identity: dict[str, Any]
    records: pd.DataFrame | None
    minimal: bool = False
    seconds: float = math.nan

    @property
    def entry(self) -> tuple[str, ...]:
        """The entry it charges."""
        return tuple(self.identity[key] for key in ENTRY)

    @property
    def charge(self) -> Charge:
        """The attack, its aim and its knowledge."""
        known = self.identity
        return Charge(
            known["attack"],
            known.get("goal") or "untargeted",
            known.get("targets") or "",
            known.get("knowledge") or "adaptive",
        )

    @property
    def sound(self) -> bool:
        """Whether its attack passed the health checks, or was not put to them."""
        return sound(self.identity.get("health"))

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """Its records as arrays."""
        if self.records is None:
            return None
        table = self.records
        return Outcomes(
            sample=table["sample"].to_numpy(dtype=np.int64),
            eps=table["eps"].to_numpy(dtype=np.float64),
            correct=table["correct"].to_numpy(dtype=bool),
            left=table["left_class"].to_numpy(dtype=bool),
            decided=table["status"].isin(list(VERDICTS)).to_numpy(dtype=bool),
            distance=table["distance"].fillna(math.inf).to_numpy(dtype=np.float64),
            forwards=table["forwards"].to_numpy(dtype=np.int64),
            backwards=table["backwards"].to_numpy(dtype=np.int64),
        )
