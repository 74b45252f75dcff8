"""One attack under one norm, put to the test again and again within a limit of time."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..contracts import Attack, Batch, Classifier, Incompatible, Norm, Threat, declared, distance
from ..contracts.threat import Goal, Units
from ..evaluator import judge, reach
from ..evaluator.attempt import Attempt, attempt
from .arena import SAMPLES, Arena, arena, rough
from .traces import TimeIsUp, settings_kept, traces

REACH = 2.0
"""Times the closed-form distance at which an attack that sees gradients must have broken a linear victim."""
BLIND_REACH = 4.0
"""The same for attacks that see scores or decisions only."""
OUT_OF_REACH = 0.25
"""Times that distance at which nothing can be broken, so that a search goes to its end."""
TOLERATED = 1
"""Of eight samples, how many may fare otherwise: rounding decides where a random search turns."""
SHARES = {"minimal": 25, "bounded": 8}
"""What part of its time an attack may spend on a search to the end; one in a ball stops where it has succeeded."""
CALLS = 4
"""What part of its time any other call may take."""

_BUDGET = ("steps", "queries", "most_queries", "restarts")


@dataclass(frozen=True)
class Outcome:
    """What became of each sample: broken (N,), the margin (N,) of its image, and what was not as it should be.

    Samples that the victim gets wrong by itself are not attacked and not among them.
    """

    ids: Tensor
    broken: Tensor
    margin: Tensor
    complaint: str = ""

    @property
    def count(self) -> int:
        """How many samples were broken."""
        return int(self.broken.sum())


@dataclass
class Trial:
    """An attack under a norm, and ``seconds`` for all that is asked of it.

    Where a search that finds nothing takes more than its share of the time, its budget (``steps``,
    ``queries``, ...) is cut to a quarter, and again, until it fits: ``cut`` tells the values then used.
    """

    attack: Attack
    norm: Norm
    seconds: float
    cut: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cut = self.attack
        self._end = time.monotonic() + self.seconds
        with contextlib.suppress(TimeIsUp, Incompatible):
            # What is imported in the first call must neither count nor be broken off: half a module would stay.
            self.ask(self.own, self.own.batch[torch.arange(1)], seconds=self.seconds)
        self._end = time.monotonic() + self.seconds

    @property
    def minimal(self) -> bool:
        """Whether the attack ignores eps."""
        return bool(declared(self.attack, "minimal"))

    @property
    def units(self) -> Units:
        """What the attack is checked in: pixels, or, if it does not know them, an image without a box."""
        return "pixels" if "pixels" in declared(self.attack, "units") else "normalised"

    @property
    def reach(self) -> float:
        """Times the closed-form distance at which this attack must have broken a linear victim."""
        return REACH if declared(self.attack, "access") in ("gradients", "images") else BLIND_REACH

    @cached_property
    def own(self) -> Arena:
        """The victim and samples that the others are compared with."""
        return arena(self.norm)

    @cached_property
    def base(self) -> Outcome:
        """What the attack does to them: without it nothing can be said, so it may take all the time there is."""
        return self.ask(self.own, seconds=self.seconds)

    @cached_property
    def rough(self) -> Outcome:
        """What it does where the end of a search depends on its start."""
        return self.ask(rough(self.norm))

    @property
    def strong(self) -> bool:
        """Whether it breaks what can be broken."""
        return self.base.count >= SAMPLES - TOLERATED

    @cached_property
    def out_of_reach(self) -> Outcome | None:
        """What the attack does in a ball in which there is nothing to be found, its budget cut until it ends in time.

        None where it cannot be cut.
        """
        share = SHARES["minimal" if self.minimal else "bounded"]
        while True:
            try:
                return self.ask(self.own, factor=OUT_OF_REACH, seconds=self.seconds / share)
            except TimeIsUp:
                if not self._shortened():
                    return None

    @cached_property
    def whole(self) -> Trial:
        """The same with the budget that the attack came with, in the time that is left."""
        other = copy.copy(self)
        for name in ("base", "rough", "out_of_reach", "traces", "whole"):
            other.__dict__.pop(name, None)
        other.cut, other._cut = {}, self.attack
        other.out_of_reach = None
        return other

    @cached_property
    def traces(self) -> dict[str, str | None]:
        """What one call leaves changed, in words, by what it happened to."""
        return traces(self._cut, self.own, self._threat(self.own.radius(self.reach)), self.left())

    def ask(
        self,
        place: Arena,
        batch: Batch | None = None,
        *,
        factor: float | None = None,
        eps: float | None = None,
        seen: Classifier | None = None,
        goal: Goal = "untargeted",
        seconds: float | None = None,
    ) -> Outcome:
        """The outcome on ``batch``, by default the samples of ``place``, in a ball of ``factor`` times their distance.

        Raises ``Incompatible`` where the attack does, and ``TimeIsUp``.
        """
        if eps is None:
            eps = place.radius(self.reach if factor is None else factor)
        batch = replace(place.batch if batch is None else batch, target=place.target if goal == "targeted" else None)
        batch = batch[judge(place.classifier, batch).right(batch.y)]
        limit = min(self.left(), seconds or self.seconds / CALLS)
        with settings_kept():
            tried = attempt(seen or place.classifier, self._cut, batch, self._threat(eps, goal), limit)
        return _outcome(place, batch, tried, Threat(self.norm, eps, units=self.units))

    def _threat(self, eps: float, goal: Goal = "untargeted") -> Threat:
        return Threat(self.norm, math.inf if self.minimal else eps, goal, units=self.units)

    def left(self) -> float:
        """Seconds that are left; raises ``TimeIsUp`` if none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeIsUp
        return left

    def _shortened(self) -> bool:
        """Whether there was anything left to be cut."""
        attack: Any = self._cut
        known = {name: getattr(attack, name, None) for name in _BUDGET} if dataclasses.is_dataclass(attack) else {}
        shorter = {name: max(1, value // 4) for name, value in known.items() if isinstance(value, int) and value > 1}
        if shorter:
            self._cut = dataclasses.replace(attack, **shorter)
            self.cut |= shorter
        return bool(shorter)


def _outcome(place: Arena, batch: Batch, tried: Attempt, ball: Threat) -> Outcome:
    if "timeout" in tried.status:
        raise TimeIsUp
    verdict = judge(place.classifier, batch, tried.images, "adversarial")
    won = verdict.wrong(batch.y) if batch.target is None else verdict.right(batch.target)
    inside = distance(tried.images - batch.x, ball.norm) <= reach(ball, batch.x)
    bad = next((word for word in tried.status if word != "ok"), None)
    complaint = f"status {bad}{f': {tried.reason}' if tried.reason else ''}" if bad else ""
    return Outcome(batch.ids, won & inside, verdict.margin, complaint)
