"""Attacks of torchattacks 3.5.1, wrapped; its ``AutoAttack`` is not, since it is not AutoAttack."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Attack, hookimpl

from .auto import APGD, APGDT
from .bounded import FGSM, MIFGSM, PGD, PGDL2, TPGD, Square
from .minimal import CW, FAB, DeepFool

requires: dict[str, str] = {"torchattacks": "python -m pip install 'tiltyard[torchattacks]'"}


@hookimpl
def attacks() -> dict[str, Callable[..., Attack]]:
    """Attacks by name; the library is imported when one is called."""
    return {
        "apgd": APGD,
        "apgdt": APGDT,
        "cw": CW,
        "deepfool": DeepFool,
        "fab": FAB,
        "fgsm": FGSM,
        "mifgsm": MIFGSM,
        "pgd": PGD,
        "pgd_l2": PGDL2,
        "square": Square,
        "tpgd": TPGD,
    }
