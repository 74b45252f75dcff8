"""The user's own images in one .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tiltyard import Data, Files

from .arrays import npz_arrays
from .splits import from_arrays

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Npz:
    """Arrays x_train, y_train, x_test, y_test of one .npz ``file``, and class_names (K,) of text if it has them.

    Images are uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3, labels whole numbers (N,) from
    0. Without class_names the classes are named by their numbers, up to the highest label. Pickled objects
    are refused.
    """

    file: str

    classes: ClassVar[int | None] = None

    def __call__(self, files: Files) -> Data:
        """Images uint8 (N, C, H, W); raises ``MissingFile``, or ``ValueError`` naming array and expected shape."""
        path = files.find(self.file)
        arrays = npz_arrays(path, ARRAYS, ["class_names"])
        try:
            train, test = (
                from_arrays(_images(arrays, f"x_{part}"), _labels(arrays, f"y_{part}", len(arrays[f"x_{part}"])))
                for part in ("train", "test")
            )
            highest = max(int(train.labels.max()), int(test.labels.max()))
            return Data(train, test, _names(arrays, highest + 1))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _images(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.uint8]:
    """Images (N, H, W) or (N, C, H, W)."""
    array = arrays[name]
    wanted = f"{name} must be uint8 (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3"
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or not array.size:
        raise ValueError(f"{wanted}, not {array.dtype} {array.shape}")
    if array.ndim == 3:
        return array
    first, last = array.shape[1] in CHANNELS, array.shape[3] in CHANNELS
    if first == last:
        raise ValueError(f"{wanted}; which axis of {array.shape} holds the channels cannot be told")
    return array if first else array.transpose(0, 3, 1, 2)


def _labels(arrays: Mapping[str, NDArray[Any]], name: str, count: int) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise ValueError(
            f"{name} must be whole numbers ({count},), one label an image, not {array.dtype} {array.shape}"
        )
    return array


def _names(arrays: Mapping[str, NDArray[Any]], classes: int) -> tuple[str, ...]:
    if "class_names" not in arrays:
        return tuple(str(number) for number in range(classes))
    array = arrays["class_names"]
    if array.dtype.kind != "U" or array.ndim != 1 or len(array) < classes:
        raise ValueError(f"class_names must be text (K,), K at least {classes}, not {array.dtype} {array.shape}")
    return tuple(str(name) for name in array)
