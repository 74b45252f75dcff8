"""Attack a batch, believe nobody, and return one record per sample, eps and target."""

from .attempt import EPS_SLACK, reach, verified
from .records import Evaluated, aims, evaluate
from .verdict import Verdict, judge

__all__ = ["EPS_SLACK", "Evaluated", "Verdict", "aims", "evaluate", "judge", "reach", "verified"]
