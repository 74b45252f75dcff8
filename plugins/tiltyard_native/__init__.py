"""Attacks and defences written for this harness."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Attack, Defence, hookimpl

from .attacks import (
    APGD,
    BIM,
    CW,
    DDN,
    FAB,
    FGSM,
    FMN,
    PGD,
    APGDTargeted,
    DeepFool,
    MultiTargeted,
    Noise,
    SigmaZero,
    SparseRS,
    Square,
    Standard,
    Transfer,
)
from .defences import JPEG, Distillation, ResizePad, Smoothing, Squeezing, Undefended


@hookimpl
def attacks() -> dict[str, Callable[..., Attack]]:
    """Attacks of every access, and noise as the control."""
    return {
        "apgd": APGD,
        "apgd_targeted": APGDTargeted,
        "bim": BIM,
        "cw": CW,
        "ddn": DDN,
        "deepfool": DeepFool,
        "fab": FAB,
        "fgsm": FGSM,
        "fmn": FMN,
        "multi_targeted": MultiTargeted,
        "noise": Noise,
        "pgd": PGD,
        "sigma_zero": SigmaZero,
        "sparse_rs": SparseRS,
        "square": Square,
        "standard": Standard,
        "transfer": Transfer,
    }


@hookimpl
def defences() -> dict[str, Callable[..., Defence]]:
    """No defence, and a detector, a training, two randomised ones and one without a gradient."""
    return {
        "none": Undefended,
        "distillation": Distillation,
        "jpeg": JPEG,
        "resize_pad": ResizePad,
        "smoothing": Smoothing,
        "squeezing": Squeezing,
    }
