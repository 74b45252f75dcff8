"""Attacks of the Adversarial Robustness Toolbox 1.20.1 (ART), wrapped; its ``AutoAttack`` is not."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Attack, hookimpl

from .bounded import APGD, BIM, FGM, PGD, Square
from .decisions import Boundary, HopSkipJump
from .minimal import CWL2, CWLinf, DeepFool, ElasticNet

requires: dict[str, str] = {"adversarial-robustness-toolbox": "python -m pip install 'tiltyard[art]'"}


@hookimpl
def attacks() -> dict[str, Callable[..., Attack]]:
    """Attacks by name; the library is imported when one is called."""
    return {
        "apgd": APGD,
        "bim": BIM,
        "boundary": Boundary,
        "cw_l2": CWL2,
        "cw_linf": CWLinf,
        "deepfool": DeepFool,
        "elastic_net": ElasticNet,
        "fgm": FGM,
        "hopskipjump": HopSkipJump,
        "pgd": PGD,
        "square": Square,
    }
