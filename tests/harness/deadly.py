"""A plugin of attacks and defences that take their process with them, or never give it back."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor

import tiltyard
from tiltyard import Batch, Classifier, Threat, Victim, hookimpl


def end(way: str) -> None:
    """End this process, or the sense of it."""
    if way == "exit":
        os._exit(7)
    if way == "hang":
        sum(range(10**13))  # one call into compiled code, which no alarm interrupts
    os.kill(os.getpid(), signal.Signals[way])


@dataclass(frozen=True)
class Deadly:
    """Notes in a file that it was called, and ends its process."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})
    way: str
    log: str
    from_sample: int = 0
    """Batches before this sample are left in peace."""

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        victim(batch.x)
        if int(batch.ids.max()) >= self.from_sample:
            with Path(self.log).open("a") as file:
                file.write(f"{os.getpid()}\n")
            end(self.way)
        return batch.x + 0.01 * threat.eps


@dataclass(frozen=True)
class Fatal:
    """A defence whose training ends the process."""

    way: str = "SIGKILL"

    def __call__(self, train: tiltyard.Trainer) -> Classifier:
        end(self.way)
        return train()


@hookimpl
def attacks() -> dict[str, type]:
    return {"attack": Deadly}


@hookimpl
def defences() -> dict[str, type]:
    return {"defence": Fatal}
