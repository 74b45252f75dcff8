"""A control for 64x64 codes: their decoder, and class logits all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tiltyard import Category, Files, LabelScheme

from .decoder import decoder, neck
from .drawn import Seed

SIDE = 64


@dataclass(frozen=True)
class Projected:
    """K logits behind the decoder of 64x64 codes and a fixed random projection, trained with cross-entropy.

    A control for ``labels.random``: the same head of the same size and, as the projection, the same codes of the same
    ``seed``, less their mean and of length 1. What is left of the difference is the loss: the network is not
    trained towards a code. What both have in common is no merit of the codebook.
    """

    seed: Seed = 48

    category: ClassVar[bool] = True

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """K logits."""
        return ProjectedCategory(len(classes), self.seed)


class ProjectedCategory(Category):
    """Category labels whose logits are projections of a 64x64 image."""

    def __init__(self, classes: int, seed: int) -> None:
        super().__init__(classes)
        self.seed = seed

    def head(self, features: int) -> nn.Module:
        """Neck, decoder (109,033 parameters behind 66 x features + 64) and projection: (N, features) to (N, K)."""
        return nn.Sequential(neck(features), decoder(SIDE), Projection(directions(self.classes, self.seed)))


class Projection(nn.Module):
    """Images (N, H, W) to their products (N, K) with ``rows`` (K, H x W), which are not trained."""

    rows: Tensor

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)

    def forward(self, images: Tensor) -> Tensor:
        """One matrix product."""
        return images.flatten(1) @ self.rows.T


def directions(classes: int, seed: int) -> Tensor:
    """The codes of ``labels.random`` (K, 4096) as seen from the mean code, each of length 1."""
    codes = np.random.RandomState(seed).uniform(0, 80, (classes, SIDE * SIDE))
    centred = codes - codes.mean(0)
    return torch.from_numpy(centred / np.linalg.norm(centred, axis=1, keepdims=True)).float()
