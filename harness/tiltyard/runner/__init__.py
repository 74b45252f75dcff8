"""A plan to records and tables: by this process, by several, or on many machines."""

from .assignment import PlanAssignment, Recipe
from .cells import chosen_samples
from .device import pick_device
from .hiring import hire
from .run import Run
from .share import Share

__all__ = ["PlanAssignment", "Recipe", "Run", "Share", "chosen_samples", "hire", "pick_device"]
