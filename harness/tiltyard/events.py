"""What a run tells of itself while it goes; the command line puts it into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .spec import Cell, Victim

if TYPE_CHECKING:
    from .training.fit import Epoch


@dataclass(frozen=True)
class EpochDone:
    """A network was fitted for one more epoch."""

    network: str
    epoch: Epoch
    epochs: int


@dataclass(frozen=True)
class CellStarted:
    """A cell is being run; some of its samples may be finished already."""

    cell: Cell
    samples: int
    finished: int
    at_most: float
    """Seconds that the attack may spend on a batch."""


@dataclass(frozen=True)
class BatchDone:
    """The records of so many more samples of a cell are on disk."""

    cell: Cell
    samples: int


@dataclass(frozen=True)
class CellFinished:
    """A cell has come to its end: done, skipped or failed; ``before`` if an earlier run had done so.

    The reason of one that is done is why some of its samples have no verdict.
    """

    cell: Cell
    status: str
    reason: str | None = None
    before: bool = False


@dataclass(frozen=True)
class VictimProbed:
    """A victim was probed for signs of masking under a norm; ``reason`` says why it could not be."""

    victim: Victim
    norm: str
    reason: str | None = None


@dataclass(frozen=True)
class AttackExamined:
    """An attack was put to the health checks under a norm; ``badge`` says what was found."""

    attack: str
    norm: str
    badge: str


Event = EpochDone | CellStarted | BatchDone | CellFinished | VictimProbed | AttackExamined
