"""Class indices: one logit for each class, trained with cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tiltyard import Category, Files, LabelScheme


@dataclass(frozen=True)
class OneHot:
    """The usual classes; with ``smoothing`` above 0, label smoothing (Szegedy et al. 2016, arXiv 1512.00567).

    The target is 1 - smoothing on the class plus smoothing / K on every class.
    """

    smoothing: float = 0.0

    category: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing = {self.smoothing}: choose a number of at least 0 and below 1")

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """K logits."""
        return Category(len(classes), self.smoothing)
