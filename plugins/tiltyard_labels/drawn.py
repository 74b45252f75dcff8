"""Codes drawn cell by cell from a distribution, with a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from tiltyard import Files, LabelScheme

from .codebook import Scale, label_scheme

# numpy's RandomState is frozen: its streams are the same in every version, which the published codes rest on.
Seed = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True)
class Random:
    """Independent U(0, 80) in every cell.

    With the default shape and seed, bit for bit the "random" codes that Chen et al. 2021 (arXiv 2104.02226)
    published for CIFAR-10 and CIFAR-100. The codes form nearly a regular simplex.
    """

    shape: tuple[int, ...] = (64, 64)
    seed: Seed = 48
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"shape = {list(self.shape)}: choose positive sizes, such as [64, 64]")

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, *shape)."""
        codes = np.random.RandomState(self.seed).uniform(0, 80, (len(classes), *self.shape))
        return label_scheme(codes, self.scale, classes, "labels.random")


@dataclass(frozen=True)
class LowDim:
    """Independent U(0, 80) in K cells: as many outputs as classes, but no one-hot geometry.

    With the default seed, bit for bit the "lowdim" codes that Chen et al. 2021 (arXiv 2104.02226) published
    for CIFAR-10.
    """

    seed: Seed = 48
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, K)."""
        codes = np.random.RandomState(self.seed).uniform(0, 80, (len(classes), len(classes)))
        return label_scheme(codes, self.scale, classes, "labels.lowdim")


@dataclass(frozen=True)
class Normal:
    """N(i, 0.1) in each of ``dimension`` cells of class i.

    The family with which the robust_labels project varies "entropy". All cells of a code are nearly equal,
    so the codebook is close to rank one whatever its dimension. No seed was published.
    """

    dimension: PositiveInt = 50
    seed: Seed = 0
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise ValueError(f"dimension = {self.dimension}: choose a positive number of cells")

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, dimension)."""
        mean = np.arange(len(classes))[:, None]
        codes = np.random.RandomState(self.seed).normal(mean, 0.1, (len(classes), self.dimension))
        return label_scheme(codes, self.scale, classes, "labels.normal")


@dataclass(frozen=True)
class Gap:
    """U(i gap, 9 + i gap) in each of 50 cells of class i.

    The family with which the robust_labels project varies the overlap of classes: gap 0 draws all of them
    from one distribution, and a gap above 9 leaves their ranges disjoint. No seed was published.
    """

    gap: float = 1.0
    seed: Seed = 0
    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (self.gap >= 0 and math.isfinite(self.gap)):
            raise ValueError(f"gap = {self.gap}: choose a finite number of at least 0")

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, 50)."""
        low = np.arange(len(classes))[:, None] * self.gap
        codes = np.random.RandomState(self.seed).uniform(low, low + 9, (len(classes), 50))
        return label_scheme(codes, self.scale, classes, "labels.gap")
