"""Attacks written for this harness."""

from .bim import BIM
from .ddn import DDN
from .fgsm import FGSM
from .multi_targeted import MultiTargeted
from .noise import Noise
from .pgd import PGD

__all__ = ["BIM", "DDN", "FGSM", "PGD", "MultiTargeted", "Noise"]
