"""Arrays as splits, and which samples of an undivided set are held out as its test set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tiltyard import Split


def from_arrays(images: NDArray[np.uint8], labels: NDArray[Any]) -> Split:
    """A split of uint8 images (N, H, W) or (N, C, H, W) and whole-number labels (N,); both are copied."""
    if images.ndim == 3:
        images = images[:, None]
    return Split(torch.from_numpy(np.array(images, order="C")), torch.from_numpy(labels.astype(np.int64)))


def stratified(labels: NDArray[Any], test_fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions (train, test): of every class the same share, rounded, and at least one sample in each part.

    Both are in random order, so that the first samples of a set that came sorted by class are a mix. The
    result depends on nothing but the arguments; raises ``ValueError`` for a class of one sample.
    """
    random = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(f"class {label} has one image; a training and a test set need two or more")
        held = min(max(round(len(members) * test_fraction), 1), len(members) - 1)
        test.append(members[:held])
        train.append(members[held:])
    return random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))
