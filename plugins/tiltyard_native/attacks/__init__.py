"""Attacks written for this harness."""

from .apgd import APGD
from .apgd_targeted import APGDTargeted
from .bim import BIM
from .cw import CW
from .ddn import DDN
from .deepfool import DeepFool
from .fab import FAB
from .fgsm import FGSM
from .fmn import FMN
from .multi_targeted import MultiTargeted
from .noise import Noise
from .pgd import PGD
from .sigma_zero import SigmaZero
from .sparse_rs import SparseRS
from .square import Square
from .standard import Standard
from .transfer import Transfer

__all__ = [
    "APGD",
    "BIM",
    "CW",
    "DDN",
    "FAB",
    "FGSM",
    "FMN",
    "PGD",
    "APGDTargeted",
    "DeepFool",
    "MultiTargeted",
    "Noise",
    "SigmaZero",
    "SparseRS",
    "Square",
    "Standard",
    "Transfer",
]
