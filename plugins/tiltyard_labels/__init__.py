"""Label schemes: one-hot classes, and the high-dimensional codes of Chen et al. 2021 (arXiv 2104.02226)."""

from __future__ import annotations

from collections.abc import Callable

from tiltyard import Labels, hookimpl

from .composite import Composite
from .drawn import Gap, LowDim, Normal, Random
from .from_file import Bert, FromFile
from .glove import Glove
from .one_hot import OneHot
from .projected import Projected
from .speech import Shuffle, Speech
from .uniform import Uniform


@hookimpl
def label_schemes() -> dict[str, Callable[..., Labels]]:
    """The schemes by their short names."""
    return {
        "bert": Bert,
        "category": OneHot,
        "composite": Composite,
        "from_file": FromFile,
        "gap": Gap,
        "glove": Glove,
        "lowdim": LowDim,
        "normal": Normal,
        "projected": Projected,
        "random": Random,
        "shuffle": Shuffle,
        "speech": Speech,
        "uniform": Uniform,
    }
