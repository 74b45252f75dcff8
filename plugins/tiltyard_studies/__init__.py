"""Attacks of published studies as they were published, faults included; what holds is asked of other attacks."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Attack, hookimpl

from .clamped_pgd import ClampedPGD
from .ddn import DDN
from .fgsm import FGSM
from .iterative import Iterative
from .jsma import JSMA
from .nll_pgd import NLLPGD


@hookimpl
def attacks() -> dict[str, Callable[..., Attack]]:
    """Three of studies of label representations, two of one of squeezing and distillation, and distillation's own."""
    return {
        "clamped_pgd": ClampedPGD,
        "ddn": DDN,
        "fgsm": FGSM,
        "iterative": Iterative,
        "jsma": JSMA,
        "nll_pgd": NLLPGD,
    }
