"""Class indices: one logit for each class, trained with cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from tiltyard import Category, Files, LabelScheme

from .decoder import WIDTHS, neck


@dataclass(frozen=True)
class OneHot:
    """The usual classes; with ``smoothing`` above 0, label smoothing (Szegedy et al. 2016, arXiv 1512.00567).

    The target is 1 - smoothing on the class plus smoothing / K on every class. ``neck`` puts the neck of
    the 64x64 decoder before the logits: a control for what is no merit of a codebook.
    """

    smoothing: float = 0.0
    neck: bool = False

    category: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing = {self.smoothing}: choose a number of at least 0 and below 1")

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """K logits."""
        return (NeckedCategory if self.neck else Category)(len(classes), self.smoothing)


class NeckedCategory(Category):
    """Category labels with the neck of image-shaped codes."""

    def head(self, features: int) -> nn.Module:
        """Batch normalisation, leaky ReLU, a linear layer to 64 (66 x features + 64 parameters) and one to K."""
        return nn.Sequential(neck(features), nn.Flatten(1), nn.Linear(WIDTHS[0], self.classes))
