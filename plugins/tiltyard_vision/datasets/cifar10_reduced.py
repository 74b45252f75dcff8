"""Two reduced forms of CIFAR-10: every image as JPEG, and an exact part."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tiltyard import Data, Files, Split

from .arrays import npz_arrays
from .cache import decoded, fingerprint
from .splits import from_arrays

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def lossless_subset(files: Files) -> Data:
    """``cifar10/cifar10_lossless_subset.npz``: uint8 x_train, x_test (N, 32, 32, 3) and y_train, y_test (N,)."""
    path = files.find("cifar10/cifar10_lossless_subset.npz")
    arrays = npz_arrays(path, ("x_train", "y_train", "x_test", "y_test"))
    train, test = (
        from_arrays(arrays[f"x_{part}"].transpose(0, 3, 1, 2), arrays[f"y_{part}"]) for part in ("train", "test")
    )
    return Data(train, test, NAMES)


def jpeg75(files: Files) -> Data:
    """``cifar10/cifar10_jpeg75_train.npz`` and ``..._test.npz``, decoded once and then read from the cache."""
    train, test = (jpeg_bundle(files.find(f"cifar10/cifar10_jpeg75_{part}.npz")) for part in ("train", "test"))
    return Data(train, test, NAMES)


def jpeg_bundle(path: Path) -> Split:
    """Images from the arrays header, data, offsets and labels of one .npz.

    Image i is the JPEG file ``header + data[offsets[i] : offsets[i + 1]]``: the header is common to all.
    """
    arrays = npz_arrays(path, ("header", "data", "offsets", "labels"))
    header, data = arrays["header"].tobytes(), arrays["data"].tobytes()
    ends, labels = arrays["offsets"], arrays["labels"]

    def image(index: int) -> NDArray[np.uint8]:
        from PIL import Image

        file = BytesIO(header + data[ends[index] : ends[index + 1]])
        return np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)

    key = fingerprint([path], path.parent, "jpeg_bundle")
    return Split(decoded(key, (len(labels), 3, 32, 32), image), torch.from_numpy(labels.astype(np.int64)))
