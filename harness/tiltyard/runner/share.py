"""One of n parts of a plan, for machines that know nothing of each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..problems import UserError
from ..spec import Cell, Plan, digest


@dataclass(frozen=True)
class Share:
    """Part ``number`` (from 1) of ``count``: networks with all that is done to them, so that none is fitted twice."""

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> Share:
        """``"2/8"``; raises ``UserError``."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UserError(f"--shard {text}: write I/N with I from 1 to N, for example --shard 1/4")
        return cls(int(found[1]), int(found[2]))

    def folder(self, name: str) -> Path:
        """Where the part of a benchmark of that name is kept, below the folder of all results."""
        return Path(f"{name}.shards") / f"{self.number}-of-{self.count}"

    def cells(self, plan: Plan) -> tuple[Cell, ...]:
        """The cells of this part. Those that take images from others are in none: they need all parts together.

        Networks go to the part that has the least to do so far, the largest first.
        """
        groups: dict[str, list[Cell]] = {}
        for cell in plan.runnable:
            if not cell.sources:
                groups.setdefault(digest(cell.victim.fit_identity), []).append(cell)
        loads = [0] * self.count
        mine: list[Cell] = []
        for group in sorted(groups.values(), key=len, reverse=True):
            part = loads.index(min(loads))
            loads[part] += len(group)
            if part == self.number - 1:
                mine += group
        return tuple(mine)
