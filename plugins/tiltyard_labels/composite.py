"""Smooth image-like codes: sums of oriented Gaussians."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tiltyard import Files, LabelScheme

from .codebook import Codes, Scale, label_scheme

GAUSSIANS = 10
CANVAS = 256
SIGMA_ACROSS = 0.15 / 2
SIGMA_ALONG = SIGMA_ACROSS / 0.31


@dataclass(frozen=True)
class Composite:
    """Sums of ten oriented Gaussians on a 256x256 canvas, stretched to [0, 80] and sampled at 64x64.

    The recipe of Chen et al. 2021 (arXiv 2104.02226), which draws from the streams of the imagen library;
    the sampling takes every fourth pixel, which is what their published codes fit. Class c is the c-th draw.
    """

    scale: Scale = "published"

    category: ClassVar[bool] = False

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, 64, 64)."""
        codes = np.stack([picture(places) for places in draws(len(classes))])
        return label_scheme(codes, self.scale, classes, "labels.composite")


def draws(classes: int) -> Iterator[list[tuple[float, float, float]]]:
    """For each class, centre (x, y) in [-0.5, 0.5) and orientation in [0, pi) of each Gaussian."""
    streams = [[random.Random(i + offset) for offset in (1, 2, 3)] for i in range(GAUSSIANS)]
    for _ in range(classes):
        places = []
        for across, up, angle in streams:
            # imagen asks for both coordinates twice in each draw: it keeps the first x and the second y.
            x, _ = across.random(), across.random()
            _, y = up.random(), up.random()
            places.append((x - 0.5, y - 0.5, math.pi * angle.random()))
        yield places


def picture(places: list[tuple[float, float, float]]) -> Codes:
    """The image (64, 64) in [0, 80] of Gaussians at ``places``."""
    axis = (np.arange(CANVAS) + 0.5) / CANVAS - 0.5
    total = sum(gaussian(axis, *place) for place in places)
    levels = (total - np.min(total)) / (np.max(total) - np.min(total)) * 255
    sampled: Codes = levels[2::4, 2::4].astype(np.float32) / 255 * 80
    return sampled


def gaussian(axis: NDArray[np.float64], x: float, y: float, angle: float) -> NDArray[Any]:
    """One Gaussian of height 1 on the canvas; rows run from the top (positive y) to the bottom."""
    across, up = axis - x, axis[::-1] - y
    along = np.add.outer(math.sin(angle) * up, math.cos(angle) * across)
    aside = np.subtract.outer(math.cos(angle) * up, math.sin(angle) * across)
    return np.exp(-0.5 * (along / SIGMA_ALONG) ** 2 - 0.5 * (aside / SIGMA_ACROSS) ** 2)
