"""What an attack did to a number of samples, and exact paired comparisons of what several did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["one step", "white box", "black box", "transfer"]

ALPHA = 0.02
"""Chance at which an honest network may look as if the weaker attack won, in one comparison."""
MARGIN = 0.05
"""Share of the samples by which the weaker attack must win besides: a rounding error is no finding."""


@dataclass(frozen=True)
class Trial:
    """One attack on the samples ``tried``, of which it moved ``broken`` out of their class within ``eps``.

    ``family`` is what the attack sees; ``reason`` says why samples have no verdict.
    """

    name: str
    family: Family
    eps: float
    tried: tuple[int, ...]
    broken: tuple[int, ...]
    reason: str | None = None

    @classmethod
    def read(cls, content: dict[str, Any]) -> Trial:
        """From the JSON object of ``dataclasses.asdict``."""
        return cls(**content | {"tried": tuple(content["tried"]), "broken": tuple(content["broken"])})


@dataclass(frozen=True)
class Comparison:
    """How many of ``count`` samples only the first, only the second, and both of two groups of attacks broke."""

    count: int
    first_only: int
    second_only: int
    both: int

    @property
    def first_wins(self) -> bool:
        """Whether the first breaks more, by an exact one-sided McNemar test and by a margin that matters."""
        if self.first_only - self.second_only < max(1, MARGIN * self.count):
            return False
        return at_least(self.first_only, self.first_only + self.second_only, 0.5) < ALPHA

    @property
    def first(self) -> str:
        """What the first broke, in words."""
        return f"{self.first_only + self.both} of {self.count}"

    @property
    def second(self) -> str:
        """What the second broke, in words."""
        return f"{self.second_only + self.both} of {self.count}"


def compare(first: Sequence[Trial], second: Sequence[Trial]) -> Comparison:
    """The comparison of two groups of attacks, each by its best attack on each sample, on samples both tried."""
    common = _union(trial.tried for trial in first) & _union(trial.tried for trial in second)
    one = _union(trial.broken for trial in first) & common
    two = _union(trial.broken for trial in second) & common
    return Comparison(len(common), len(one - two), len(two - one), len(one & two))


def at_least(hits: int, count: int, chance: float) -> float:
    """The probability of ``hits`` or more in ``count`` draws that succeed with ``chance`` each."""
    from scipy.stats import binom

    return float(binom.sf(hits - 1, count, chance))


def names(trials: Iterable[Trial]) -> str:
    """The attacks, in words."""
    return ", ".join(dict.fromkeys(trial.name for trial in trials))


def _union(groups: Iterable[Iterable[int]]) -> set[int]:
    return {sample for group in groups for sample in group}
