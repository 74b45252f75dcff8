"""Constant codes: the class index, spread over [0, 80] and written into every cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiltyard import Files, LabelScheme

from .codebook import Scale, label_scheme


@dataclass(frozen=True)
class Uniform:
    """Constant 64x64 matrices of 80 i / (K - 1) for class i.

    Chen et al. 2021 (arXiv 2104.02226) write "constant matrix" and name the file "uniform". The codebook is
    of rank one: all classes lie on a line, in the order of their numbers.
    """

    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, 64, 64)."""
        levels = np.arange(len(classes), dtype=np.float32) * 80 / max(len(classes) - 1, 1)
        codes = np.tile(levels[:, None, None], (1, 64, 64))
        return label_scheme(codes, self.scale, classes, "labels.uniform")
