"""Street View House Numbers, from its two official MATLAB files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tiltyard import Data, Files, Outline, Split

from .downloads import obtain
from .packaged import DIGIT_NAMES
from .splits import from_arrays


@dataclass(frozen=True)
class Svhn:
    """SVHN, cropped digits: 73,257 + 26,032 photographs, 32x32 RGB; the 531,131 extra images are not used.

    ``train_32x32.mat`` and ``test_32x32.mat`` are looked for in the data folder (torchvision's place) and in
    its folder ``svhn``. Source: Netzer et al. 2011, "Reading Digits in Natural Images with Unsupervised
    Feature Learning", NIPS workshop.
    """

    classes: ClassVar[int] = 10

    def outline(self, files: Files) -> Outline:
        """What is known before anything is read."""
        return Outline((3, 32, 32), 73_257, DIGIT_NAMES)

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, 3, 32, 32); raises ``MissingFile``, or ``ValueError`` on a wrong checksum."""
        return Data(_split(files, "train"), _split(files, "test"), DIGIT_NAMES)


def _split(files: Files, part: str) -> Split:
    from scipy.io import loadmat
    from torchvision.datasets import SVHN

    url, name, md5 = SVHN.split_list[part]
    content = loadmat(obtain(files, (name, f"svhn/{name}"), md5, [url]))
    # The file counts the digit 0 as class 10 and stores the images as (H, W, C, N).
    return from_arrays(np.transpose(content["X"], (3, 2, 0, 1)), content["y"].ravel() % 10)
