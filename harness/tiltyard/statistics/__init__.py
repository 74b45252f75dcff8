"""Numbers from per-sample records: shares with intervals, paired tests, ranks, and the fewest attacks needed."""

from .cover import smallest_subset
from .metrics import by_sample, cell_metrics, imprecise, unjudged
from .paired import ALPHA, Comparison, adjusted, compare, difference, mcnemar, ranks, sure
from .shares import over_seeds, wilson

__all__ = [
    "ALPHA",
    "Comparison",
    "adjusted",
    "by_sample",
    "cell_metrics",
    "compare",
    "difference",
    "imprecise",
    "mcnemar",
    "over_seeds",
    "ranks",
    "smallest_subset",
    "sure",
    "unjudged",
    "wilson",
]
