"""An entry of the leaderboard in one ball: what each attack did to each sample, seed by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .cells import BALL, ENTRY, Bools, CellRecords, Charge, Floats, Ints


@dataclass(frozen=True)
class Seed:
    """One trained victim, N samples and A attacks.

    ``samples`` (N,) are positions in the test set, ``correct`` (N,) those right before any attack, ``broken`` (A, N)
    whether an attack's verified image lies in the ball, ``judged`` (A, N) whether it has a verdict at this very eps,
    ``distance`` (A, N) the length of the perturbation, infinite where none is recorded.
    """

    samples: Ints
    correct: Bools
    broken: Bools
    judged: Bools
    distance: Floats

    def held(self, attacks: Bools | None = None) -> Bools:
        """(N,): right, and moved by none of the attacks (A,), or by none at all."""
        broken = self.broken if attacks is None else self.broken[attacks]
        held: Bools = self.correct & ~broken.any(axis=0)
        return held

    def charged(self, attacks: Bools) -> bool:
        """Whether each right sample has a verdict from at least one of the attacks (A,)."""
        return bool((self.judged[attacks].any(axis=0) | ~self.correct).all()) if attacks.any() else False

    @property
    def kills(self) -> Bools:
        """(A, N): right, and broken by the attack."""
        return self.broken & self.correct

    @property
    def known(self) -> Bools:
        """(A, N): whether an attack's outcome on the sample is known."""
        return self.judged | self.broken | ~self.correct


@dataclass(frozen=True)
class Entry:
    """A model, a label scheme and a defence in one ball, with all that was tried on it."""

    ball: tuple[Any, ...]
    names: tuple[str, ...]
    charges: tuple[Charge, ...]
    cells: Mapping[Charge, Sequence[CellRecords]]
    failed: int
    seeds: Mapping[int, Seed]

    @property
    def words(self) -> str:
        """The entry in a line."""
        return " · ".join(self.names)

    @property
    def columns(self) -> dict[str, Any]:
        """Its identity columns."""
        return dict(zip((*BALL, *ENTRY), (*self.ball, *self.names), strict=True))

    @property
    def sound(self) -> Bools:
        """(A,): the attacks whose health is not in doubt."""
        return np.array([all(cell.sound for cell in self.cells[charge]) for charge in self.charges], dtype=bool)

    @cached_property
    def listed(self) -> bool:
        """Whether, for each seed, every right sample has a verdict from a sound attack."""
        return all(seed.charged(self.sound) for seed in self.seeds.values())

    @property
    def kills(self) -> Bools:
        """(A, S x N): right, and broken by the attack, one seed after the other."""
        return np.concatenate([seed.kills for seed in self.seeds.values()], axis=1)

    @property
    def incomplete(self) -> int:
        """Cells that failed, or in which a right sample lacks a verdict."""
        eps = self.ball[-1]
        return self.failed + sum(_incomplete(cell, eps) for cells in self.cells.values() for cell in cells)


def entries(cells: Iterable[CellRecords]) -> list[Entry]:
    """The entries of every ball, those of a ball together, in a fixed order.

    An entry is in a ball if an attack was run at that very eps; images found for smaller balls lie in it as well.
    """
    cells = list(cells)
    groups: dict[tuple[Any, ...], list[CellRecords]] = {}
    for cell in cells:
        groups.setdefault((*(cell.identity[key] for key in BALL[:-1]), cell.entry), []).append(cell)
    found = [_entry((*key[:-1], eps), key[-1], group, eps) for key, group in groups.items() for eps in _radii(group)]
    return sorted(found, key=lambda entry: (entry.ball, entry.names))


def _radii(cells: Iterable[CellRecords]) -> list[float]:
    return sorted({eps for cell in cells if cell.outcomes for eps in cell.outcomes.eps.tolist()})


def _entry(ball: tuple[Any, ...], names: tuple[str, ...], cells: Sequence[CellRecords], eps: float) -> Entry:
    ran = [cell for cell in cells if cell.outcomes and cell.outcomes.inside(eps).any()]
    charges = tuple(sorted({cell.charge for cell in ran}))
    by_charge = {charge: [cell for cell in ran if cell.charge == charge] for charge in charges}
    here = {cell.identity["seed"] for cell in ran if cell.outcomes and cell.outcomes.at(eps).any()}
    seeds = {seed: _seed([_of(by_charge[charge], seed) for charge in charges], eps) for seed in sorted(here)}
    return Entry(ball, names, charges, by_charge, sum(cell.records is None for cell in cells), seeds)


def _of(cells: Iterable[CellRecords], seed: int) -> list[CellRecords]:
    return [cell for cell in cells if cell.identity["seed"] == seed]


def _seed(cells: Sequence[Sequence[CellRecords]], eps: float) -> Seed:
    """``cells`` holds those of each of A attacks."""
    every = [cell.outcomes.sample[cell.outcomes.inside(eps)] for own in cells for cell in own if cell.outcomes]
    samples = np.unique(np.concatenate(every))
    shape = (len(cells), len(samples))
    seed = Seed(
        samples, np.ones(shape[1], dtype=bool), np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, np.inf)
    )
    for attack, own in enumerate(cells):
        for cell in own:
            _enter(seed, attack, cell, eps)
    return seed


def _enter(seed: Seed, attack: int, cell: CellRecords, eps: float) -> None:
    """Enter what a cell says into the arrays."""
    outcomes = cell.outcomes
    assert outcomes is not None
    inside = outcomes.inside(eps)
    row = np.searchsorted(seed.samples, outcomes.sample[inside])
    left, at, decided = outcomes.left[inside], outcomes.at(eps)[inside], outcomes.decided[inside]
    seed.correct[row[~outcomes.correct[inside]]] = False
    seed.broken[attack, row[left]] = True
    # With several targets a sample has several records, and a verdict only if each of them has.
    judged = np.zeros(len(seed.samples), dtype=bool)
    judged[row[at]] = True
    judged[row[at & ~decided]] = False
    seed.judged[attack] |= judged
    np.minimum.at(seed.distance[attack], row[left], outcomes.distance[inside][left])


def _incomplete(cell: CellRecords, eps: float) -> bool:
    outcomes = cell.outcomes
    return outcomes is not None and not outcomes.decided[outcomes.inside(eps)].all()
