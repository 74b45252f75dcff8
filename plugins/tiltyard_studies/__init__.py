"""Attacks of published studies as they were published, faults included; what holds is asked of other attacks."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Attack, hookimpl

from .clamped_pgd import ClampedPGD
from .ddn import DDN
from .fgsm import FGSM
from .iterative import Iterative
from .nll_pgd import NLLPGD


@hookimpl
def attacks() -> dict[str, Callable[..., Attack]]:
    """Three of studies of label representations, two of a study of squeezing and distillation."""
    return {
        "clamped_pgd": ClampedPGD,
        "ddn": DDN,
        "fgsm": FGSM,
        "iterative": Iterative,
        "nll_pgd": NLLPGD,
    }
