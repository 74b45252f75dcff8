"""From an array of codes to a label scheme: what is checked, how it is scaled, which head it gets."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from tiltyard import LabelScheme

from .decoder import FIRST_KERNEL, DecodedScheme

Codes = NDArray[np.floating[Any]]
Scale = Literal["published", "unit"]


def label_scheme(codes: Codes, scale: Scale, classes: tuple[str, ...], source: str) -> LabelScheme:
    """The scheme of ``codes`` (K, *shape), one for each name in ``classes``.

    ``scale`` "published" leaves them as they are; "unit" divides them by ``rms_distance``. ``source`` names
    the recipe or file in errors: ``ValueError`` on another number of codes than classes, on fewer than two
    classes, on codes that are not finite in float32, and on two classes with the same code. Codes of 64x64
    and 48x48 get a decoder as their head; every other shape gets one linear layer.
    """
    if scale not in get_args(Scale):
        raise ValueError(f"{source}: scale = {scale!r}: choose one of {', '.join(get_args(Scale))}")
    if len(classes) < 2:
        raise ValueError(f"{source}: a codebook needs at least two classes, not {len(classes)}")
    if codes.ndim < 2 or len(codes) != len(classes) or not codes[0].size:
        raise ValueError(f"{source}: expected codes of shape ({len(classes)}, ...), not {codes.shape}")
    check(_float32(codes), classes, source)
    scaled = _float32(codes if scale == "published" else codes / rms_distance(codes))
    kind = DecodedScheme if scaled.shape[1:] in {(side, side) for side in FIRST_KERNEL} else LabelScheme
    return kind(torch.from_numpy(scaled))


def check(codes: Codes, classes: tuple[str, ...], source: str) -> None:
    """Raise ``ValueError`` where a code of ``codes`` (K, *shape) is not finite, or equal to another one."""
    first: dict[bytes, int] = {}
    for label, (name, code) in enumerate(zip(classes, codes, strict=True)):
        if not np.isfinite(code).all():
            raise ValueError(f"{source}: expected finite codes, but that of class {label} ({name!r}) is not")
        # Adding zero turns -0.0 into 0.0, the same number in other bytes.
        twin = first.setdefault((code + 0.0).tobytes(), label)
        if twin != label:
            both = f"{twin} ({classes[twin]!r}) and {label} ({name!r})"
            raise ValueError(f"{source}: expected a different code for each class, but {both} share one")


def rms_distance(codes: Codes) -> float:
    """Root mean square, over all pairs of different classes and all cells, of the difference of two codes."""
    # The sum over pairs of (a - b)^2 is K times that of (a - mean)^2, and there are K (K - 1) / 2 pairs.
    spread = float(codes.astype(np.float64).var(axis=0).mean())
    return math.sqrt(2 * len(codes) / (len(codes) - 1) * spread)


def _float32(codes: Codes) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused by name
        return np.ascontiguousarray(codes, dtype=np.float32)
