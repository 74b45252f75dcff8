"""Numbers from per-sample records: shares with intervals, paired tests, ranks, and the fewest attacks needed."""

from .cover import smallest_subset
from .metrics import by_sample, cell_metrics, unjudged
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
    "mcnemar",
    "over_seeds",
    "ranks",
    "smallest_subset",
    "sure",
    "unjudged",
    "wilson",
]
