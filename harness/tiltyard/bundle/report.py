"""What a verification has found: one line for each thing that does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""Samples that a line names."""


@dataclass(frozen=True)
class Finding:
    """Something that does not hold: where it stands, and what is the matter."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass
class Report:
    """Findings, notes and counts as they come in."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader should know and what is nobody's fault."""
    cells: int = 0
    clean: int = 0
    """Clean images judged, each once for each victim."""
    images: int = 0
    """Stored images judged, each once."""
    borderline: int = 0
    """Verdicts that are others here, within what another machine's rounding explains."""
    board: pd.DataFrame | None = None
    """The leaderboard as recomputed; None where it could not be."""

    @property
    def verified(self) -> bool:
        """Whether everything holds."""
        return not self.findings

    def find(self, where: str, message: str, samples: Sequence[int] = ()) -> None:
        """Add a finding, with the samples that it is about."""
        shown = ", ".join(map(str, samples[:NAMED])) + (", …" if len(samples) > NAMED else "")
        self.findings.append(Finding(where, f"{message} (samples {shown})" if len(samples) else message))

    def note(self, message: str) -> None:
        """Add a note, once."""
        if message not in self.notes:
            self.notes.append(message)

    def counts(self) -> dict[str, Any]:
        """The numbers."""
        return {key: getattr(self, key) for key in ("cells", "clean", "images", "borderline")}
