"""The state of a training after its last epoch, so that it can be taken up again."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..results import read_checked, write_named

NAME = "unfinished"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of one fit in its folder; tensors are read to ``device``."""

    folder: Path
    device: torch.device

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Keep the state after ``epoch`` in the place of the one before."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        before = self._paths()
        kept = write_named(self.folder, f"{NAME}-{epoch:05d}", ".pt", buffer.getvalue())
        for path in before:
            if path != kept:
                path.unlink()

    def load(self) -> dict[str, Any] | None:
        """The state after the last epoch that was kept, or None; raises ``DamagedError``."""
        paths = self._paths()
        if not paths:
            return None
        content = io.BytesIO(read_checked(paths[-1]))
        state: dict[str, Any] = torch.load(content, map_location=self.device, weights_only=True)
        return state

    def clear(self) -> None:
        """Remove the state: the training is finished."""
        for path in self._paths():
            path.unlink()

    def _paths(self) -> list[Path]:
        """Of a run that was killed between writing and unlinking there are two; the last one is the newest."""
        return sorted(self.folder.glob(f"{NAME}*.pt"))
