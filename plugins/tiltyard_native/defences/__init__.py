"""Defences written for this harness."""

from .distillation import Distillation
from .squeezing import Squeezing
from .undefended import Undefended

__all__ = ["Distillation", "Squeezing", "Undefended"]
