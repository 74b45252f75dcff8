"""MNIST and Fashion-MNIST, from their four official gzipped IDX files."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tiltyard import Data, Files, Outline

from .downloads import obtain
from .packaged import DIGIT_NAMES
from .splits import from_arrays


@dataclass(frozen=True)
class Mnist:
    """MNIST: 60,000 + 10,000 handwritten digits, 28x28 grey.

    Its .gz files are looked for in ``MNIST/raw`` (torchvision's place) and ``mnist``, and downloaded to the
    former. Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition".
    """

    classes: ClassVar[int] = 10

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((1, 28, 28), 60_000, DIGIT_NAMES)

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 1, 28, 28); raises ``MissingFile``, or ``ValueError`` on a wrong checksum."""
        from torchvision.datasets import MNIST

        return _data(files, MNIST, ("MNIST/raw", "mnist"), DIGIT_NAMES)


@dataclass(frozen=True)
class FashionMnist:
    """Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28x28 grey.

    Its .gz files are looked for in ``FashionMNIST/raw`` (torchvision's place) and ``fashion-mnist``, and
    downloaded to the former. Source: Xiao, Rasul and Vollgraf 2017, "Fashion-MNIST", arXiv 1708.07747.
    """

    classes: ClassVar[int] = 10

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((1, 28, 28), 60_000, tuple(str(number) for number in range(10)))

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 1, 28, 28); raises ``MissingFile``, or ``ValueError`` on a wrong checksum."""
        from torchvision.datasets import FashionMNIST

        folders = ("FashionMNIST/raw", "fashion-mnist")
        return _data(files, FashionMNIST, folders, tuple(FashionMNIST.classes))


def _data(files: Files, source: Any, folders: tuple[str, ...], classes: tuple[str, ...]) -> Data:
    """Both splits; ``source`` is torchvision's class, which publishes names, checksums and mirrors."""
    arrays = {}
    for name, md5 in source.resources:
        places = [f"{folder}/{name}" for folder in folders]
        arrays[name] = _array(obtain(files, places, md5, [mirror + name for mirror in source.mirrors]))
    train, test = (
        from_arrays(arrays[f"{part}-images-idx3-ubyte.gz"], arrays[f"{part}-labels-idx1-ubyte.gz"])
        for part in ("train", "t10k")
    )
    return Data(train, test, classes)


def _array(path: Path) -> NDArray[np.uint8]:
    """An IDX file of bytes: its fourth byte is the rank, then come the sizes as big-endian 32-bit numbers."""
    raw = gzip.decompress(path.read_bytes())
    start = 4 + 4 * raw[3]
    return np.frombuffer(raw, np.uint8, offset=start).reshape(struct.unpack(f">{raw[3]}I", raw[4:start]))
