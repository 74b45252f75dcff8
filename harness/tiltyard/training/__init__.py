"""How networks come to be: built, loaded or fitted, and kept in the store."""

from .network import CheckpointError, build, load_weights
from .trainer import FitTrainer

__all__ = ["CheckpointError", "FitTrainer", "build", "load_weights"]
