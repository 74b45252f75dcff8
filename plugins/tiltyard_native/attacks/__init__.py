"""Attacks written for this harness."""

from .apgd import APGD
from .apgd_targeted import APGDTargeted
from .bim import BIM
from .ddn import DDN
from .fab import FAB
from .fgsm import FGSM
from .multi_targeted import MultiTargeted
from .noise import Noise
from .pgd import PGD
from .sparse_rs import SparseRS
from .square import Square
from .standard import Standard
from .transfer import Transfer

__all__ = [
    "APGD",
    "BIM",
    "DDN",
    "FAB",
    "FGSM",
    "PGD",
    "APGDTargeted",
    "MultiTargeted",
    "Noise",
    "SparseRS",
    "Square",
    "Standard",
    "Transfer",
]
