"""How networks come to be: built, loaded or fitted, and kept in the store."""

from .network import CheckpointError, Normalise, build, load_weights, normalisation
from .trainer import FitTrainer

__all__ = ["CheckpointError", "FitTrainer", "Normalise", "build", "load_weights", "normalisation"]
