"""Decoded images on disk, memory-mapped, so that a second load is instant and big sets do not fill the memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .atomic import replacing

CHUNK = 256  # images that are in memory at once while a cache is written


def cache_folder() -> Path:
    """``$TILTYARD_CACHE``, else ``$XDG_CACHE_HOME/tiltyard``, else ``~/.cache/tiltyard``."""
    if chosen := os.environ.get("TILTYARD_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiltyard"


def fingerprint(paths: Iterable[Path], root: Path, *settings: object) -> str:
    """A name for what is decoded from these files: their order, names below ``root``, sizes, times, settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for path in paths:
        status = path.stat()
        digest.update(f"\n{path.relative_to(root)}|{status.st_size}|{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]


def decoded(key: str, shape: tuple[int, ...], decode: Callable[[int], NDArray[np.uint8]]) -> Tensor:
    """Images uint8 of ``shape`` (N, C, H, W) under ``key``, memory-mapped; ``decode(i)`` makes the i-th once.

    ``decode`` is called from several threads. Raises ``ValueError`` where the cache cannot be written.
    """
    path = cache_folder() / "images" / f"{key}.npy"
    if not path.exists():
        try:
            _write(path, shape, decode)
        except OSError as error:
            raise ValueError(
                f"decoded images cannot be kept in {path.parent} ({error}); $TILTYARD_CACHE names another folder"
            ) from error
    # Copy on write: torch wants a writable array, and nothing that is written to it reaches the file.
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


def _write(path: Path, shape: tuple[int, ...], decode: Callable[[int], NDArray[np.uint8]]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with replacing(path) as stream, ThreadPoolExecutor() as pool:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, shape[0], CHUNK):
            for image in pool.map(decode, range(start, min(start + CHUNK, shape[0]))):
                stream.write(image.tobytes())
