"""The tasks of a plan and their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..health import health_id
from ..masking import due, probed
from ..results import Store
from ..spec import Cell, Plan, Victim, digest
from ..workers import Step, Task


def health_steps(cells: Iterable[Cell]) -> Iterator[Step]:
    """A check of each attack of ``cells`` under each norm."""
    seen = set()
    for cell in cells:
        name = health_id(cell.attack, cell.threat.norm)
        if name not in seen:
            seen.add(name)
            yield Step(Task("health", cell.id))


def cell_steps(cells: Sequence[Cell], parts: int = 1) -> Iterator[Step]:
    """The fits of the victims of ``cells`` and of those that their attackers see, and the cells, in ``parts``.

    A cell runs after its victims are fitted and after those of its sources that are among ``cells``.
    """
    running = set(cells)
    fits: set[Victim] = set()
    first: dict[str, Task] = {}
    for cell in cells:
        for victim in filter(None, (cell.victim, cell.surrogate)):
            if victim not in fits:
                fits.add(victim)
                yield _fit(victim, first)
        yield from _cell(cell, tuple(Task("cell", s.id) for s in cell.sources if s in running), parts)


def _fit(victim: Victim, first: dict[str, Task]) -> Step:
    """The fit of a victim, after the first one of the same network: what they share is in the store by then."""
    task = Task("fit", victim.id)
    opening = first.setdefault(digest(victim.fit_identity), task)
    return Step(task, after=() if opening == task else (opening,), home=victim.id)


def _cell(cell: Cell, after: tuple[Task, ...], parts: int) -> Iterator[Step]:
    fits = tuple(Task("fit", victim.id) for victim in (cell.victim, cell.surrogate) if victim)
    home = cell.victim.id
    pieces = tuple(Task("cell", cell.id, part=(n, parts)) for n in range(parts)) if parts > 1 else ()
    for piece in pieces:
        yield Step(piece, fits, after, home)
    yield Step(Task("cell", cell.id), fits + pieces, after, home)


def probe_steps(plan: Plan, store: Store) -> Iterator[Step]:
    """The probes that are due, of each victim and norm that was attacked."""
    for victim, norm in probed(plan):
        if due(plan, store, victim, norm):
            yield Step(Task("probe", victim.id, norm=norm), home=victim.id)
