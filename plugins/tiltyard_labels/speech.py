"""Spectrograms of the spoken class names, in order or with their time shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tiltyard import Files, LabelScheme

from .array_file import read
from .codebook import Codes, Scale, label_scheme
from .drawn import Seed
from .voice import spectrogram

SIDE = 64


@dataclass(frozen=True)
class Speech:
    """Mel spectrograms in dB of the class names, after Chen et al. 2021 (arXiv 2104.02226).

    ``file`` is an .npy or .npz (K, 64, 64) of spoken names: rows are mel bands, the lowest first, columns are
    time. WITHOUT A FILE THE CODES ARE NOT SPEECH but a synthesised stand-in, made from the letters of the
    names: same shape, same range, audio-like, distinct for every class; results are not those of the paper.
    """

    file: str | None = None
    scale: Scale = "published"

    category: ClassVar[bool] = False

    @property
    def remark(self) -> str:
        """Says in every table that the codes are the stand-in and no recording."""
        return "synthesised" if self.file is None else ""

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, 64, 64) in [-80, 0]."""
        codes = spectrograms(self.file, classes, files)
        return label_scheme(codes, self.scale, classes, self.file or "labels.speech")


@dataclass(frozen=True)
class Shuffle:
    """The spectrograms of ``Speech`` with their 64 columns permuted, each class by its own permutation.

    ``file`` is the file of ``Speech``, not yet shuffled. With the default seed the permutations are those of
    Chen et al. 2021 (arXiv 2104.02226). WITHOUT A FILE the spectrograms are the synthesised stand-in.
    """

    file: str | None = None
    seed: Seed = 8
    scale: Scale = "published"

    category: ClassVar[bool] = False

    @property
    def remark(self) -> str:
        """Says in every table that the codes are made from the stand-in and no recording."""
        return "synthesised" if self.file is None else ""

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """Codes (K, 64, 64) in [-80, 0]."""
        codes = spectrograms(self.file, classes, files)
        orders = permutations(len(classes), self.seed)
        shuffled = np.stack([code[:, order] for code, order in zip(codes, orders, strict=True)])
        return label_scheme(shuffled, self.scale, classes, self.file or "labels.shuffle")


def spectrograms(file: str | None, classes: tuple[str, ...], files: Files) -> Codes:
    """Spectrograms (K, 64, 64) from ``file``, or the stand-in."""
    if file is None:
        return np.stack([spectrogram(name) for name in classes])
    return read(file, files, len(classes), ((SIDE, SIDE),))


def permutations(classes: int, seed: int) -> list[NDArray[np.int64]]:
    """A permutation of the columns for each class, never the identity, from one stream."""
    stream = np.random.RandomState(seed)
    orders = []
    for _ in range(classes):
        order = np.arange(SIDE)
        while (order == np.arange(SIDE)).all():
            stream.shuffle(order)
        orders.append(order)
    return orders
