"""Attacks and defences written for this harness."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Attack, Defence, hookimpl

from .attacks import BIM, DDN, FGSM, PGD, MultiTargeted, Noise
from .defences import Distillation, Squeezing, Undefended


@hookimpl
def attacks() -> dict[str, Callable[..., Attack]]:
    """Gradient attacks, a minimal-norm attack, and noise as the control."""
    return {"fgsm": FGSM, "bim": BIM, "pgd": PGD, "multi_targeted": MultiTargeted, "ddn": DDN, "noise": Noise}


@hookimpl
def defences() -> dict[str, Callable[..., Defence]]:
    """No defence, feature squeezing, and defensive distillation."""
    return {"none": Undefended, "squeezing": Squeezing, "distillation": Distillation}
