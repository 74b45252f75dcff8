"""Codebooks in .npy and .npz files."""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiltyard import Files, refuse_bomb

from .codebook import Codes

KEY = "codes"


def read(name: str, files: Files, classes: int, shapes: tuple[tuple[int, ...], ...] = ()) -> Codes:
    """The real numbers (K, *shape) in the .npy or .npz file ``name``; pickled objects are refused.

    An .npz must hold one array, or name the codebook "codes". Raises ``MissingFile`` where there is no such
    file, and ``ValueError`` where the array is unreadable, not numeric, not for ``classes`` classes, or of a
    shape that is not among ``shapes`` (empty: any).
    """
    path = files.find(name)
    try:
        refuse_bomb(path)
        with path.open("rb") as stream:
            array = _only(np.load(stream, allow_pickle=False))
    except (OSError, EOFError, ValueError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{name}: expected a codebook in .npy or .npz form: {error}") from error
    wanted = " or ".join(str((classes, *shape)) for shape in shapes) or f"({classes}, *shape)"
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: expected real numbers of shape {wanted}, not {array.dtype}")
    if array.ndim < 2 or len(array) != classes or (shapes and array.shape[1:] not in shapes):
        raise ValueError(f"{name}: expected shape {wanted}, a code for each class, not {array.shape}")
    return array.astype(np.float64) if array.dtype.kind != "f" else array


def _only(loaded: Any) -> NDArray[Any]:
    """The array itself, or the codebook of an archive."""
    if isinstance(loaded, np.ndarray):
        return loaded
    keys = list(loaded.files)
    if KEY in keys or len(keys) == 1:
        return np.asarray(loaded[KEY if KEY in keys else keys[0]])
    raise ValueError(f'it holds {", ".join(keys) or "nothing"}; keep one array, or call the codebook "{KEY}"')
