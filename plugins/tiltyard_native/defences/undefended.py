"""Plain training and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from tiltyard import Classifier, Trainer


@dataclass(frozen=True)
class Undefended:
    """The network as it is trained, or as it was given."""

    def __call__(self, train: Trainer) -> Classifier:
        """The trained classifier."""
        return train()
