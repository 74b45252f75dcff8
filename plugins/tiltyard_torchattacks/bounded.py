"""Attacks of torchattacks that search inside the ball of radius eps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from tiltyard import Incompatible, Norm, Radius

from .calling import Recipe, Task, run


@dataclass(frozen=True)
class FGSM:
    """Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples", arXiv 1412.6572."""

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    targeted: ClassVar[bool] = True

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.FGSM``."""
        return Recipe("FGSM", {"eps": task.eps})

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return 1, 1

    __call__ = run


@dataclass(frozen=True)
class PGD:
    """Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", arXiv 1706.06083.

    ``step_size`` in pixels is 2.5 eps / steps unless given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 40
    step_size: Radius | None = None
    random_start: bool = True

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.PGD``."""
        alpha = task.stride(self.step_size, self.steps)
        start = self.random_start
        return Recipe("PGD", {"eps": task.eps, "alpha": alpha, "steps": self.steps, "random_start": start})

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.steps, self.steps

    __call__ = run


@dataclass(frozen=True)
class PGDL2:
    """Projected gradient descent under l2: Madry et al. 2018, arXiv 1706.06083.

    ``step_size`` in pixels is 2.5 eps / steps unless given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 40
    step_size: Radius | None = None
    random_start: bool = True

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.PGDL2``."""
        alpha = task.stride(self.step_size, self.steps)
        start = self.random_start
        return Recipe("PGDL2", {"eps": task.eps, "alpha": alpha, "steps": self.steps, "random_start": start})

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.steps, self.steps

    __call__ = run


@dataclass(frozen=True)
class MIFGSM:
    """Dong et al. 2018, "Boosting Adversarial Attacks with Momentum", arXiv 1710.06081.

    ``decay`` is the momentum factor; ``step_size`` in pixels is eps / steps unless given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 10
    step_size: Radius | None = None
    decay: NonNegativeFloat = 1.0

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.MIFGSM``."""
        alpha = task.eps / self.steps if self.step_size is None else self.step_size
        return Recipe("MIFGSM", {"eps": task.eps, "alpha": alpha, "steps": self.steps, "decay": self.decay})

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.steps, self.steps

    __call__ = run


@dataclass(frozen=True)
class TPGD:
    """The inner search of Zhang et al. 2019, "Theoretically Principled Trade-off", arXiv 1901.08573.

    It moves away from the clean image's scores (Kullback-Leibler) and knows no label. ``step_size`` in pixels
    is 2.5 eps / steps unless given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    targeted: ClassVar[bool] = False
    # It knows no label: the noise that it begins with decides which way it goes.
    defects: ClassVar[tuple[str, ...]] = ("strength", "logit scale", "batch mates")

    steps: PositiveInt = 20
    step_size: Radius | None = None

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.TPGD``."""
        alpha = task.stride(self.step_size, self.steps)
        return Recipe("TPGD", {"eps": task.eps, "alpha": alpha, "steps": self.steps})

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.steps + 1, self.steps

    __call__ = run


@dataclass(frozen=True)
class Square:
    """Andriushchenko et al. 2020, "Square Attack", arXiv 1912.00049.

    ``p_init`` is the share of the image that the first squares cover.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "scores"

    queries: PositiveInt = 5000
    restarts: PositiveInt = 1
    p_init: PositiveFloat = 0.8
    loss: Literal["margin", "ce"] = "margin"

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.Square``; raises ``Incompatible`` where its l2 windows run over the image's border."""
        if task.threat.norm == "l2" and not _tiles(*task.shape[1:], self.p_init):
            raise Incompatible(f"its l2 windows do not fit images of {task.shape[1]} x {task.shape[2]}")
        return Recipe(
            "Square",
            {
                "norm": task.norm,
                "eps": task.eps,
                "n_queries": self.queries,
                "n_restarts": self.restarts,
                "p_init": self.p_init,
                "loss": self.loss,
                "seed": task.seed,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return 1 + self.restarts * (self.queries + 2), 0

    __call__ = run


def _tiles(height: int, width: int, p_init: float) -> bool:
    """Whether what it draws under l2 stays inside the image: tiles a fifth as high, then windows of odd size."""
    tile, window = height // 5, max(round(math.sqrt(p_init * height * width)), 3)
    if not tile or window + (window % 2 == 0) > min(height, width):
        return False
    first = (height - 5 * tile) // 2
    return tile == 1 or all(first + length // tile * tile <= length for length in (height, width))
