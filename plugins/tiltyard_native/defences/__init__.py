"""Defences written for this harness."""

from .distillation import Distillation
from .jpeg import JPEG
from .resize_pad import ResizePad
from .smoothing import Smoothing
from .squeezing import Squeezing
from .undefended import Undefended

__all__ = ["JPEG", "Distillation", "ResizePad", "Smoothing", "Squeezing", "Undefended"]
