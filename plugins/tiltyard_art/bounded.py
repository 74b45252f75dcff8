"""Attacks of ART that search inside the ball of radius eps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import PositiveFloat, PositiveInt

from tiltyard import Incompatible, Norm, Radius

from .calling import Recipe, Task, refuse, run

_LOSSES = {"ce": None, "dlr": "difference_logits_ratio"}


@dataclass(frozen=True)
class FGM:
    """One step to the border of the ball: Goodfellow et al. 2015, arXiv 1412.6572, under any norm."""

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2", "l1"})
    targeted: ClassVar[bool] = True
    defects: ClassVar[tuple[str, ...]] = ("saturated pixels",)  # l1 steps into the border of the box are lost

    def recipe(self, task: Task) -> Recipe:
        """``FastGradientMethod``."""
        arguments = {"norm": task.norm, "eps": task.eps, "targeted": task.targeted, "batch_size": task.samples}
        return Recipe("FastGradientMethod", arguments)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return 1, 1

    __call__ = run


@dataclass(frozen=True)
class BIM:
    """Kurakin et al. 2017, "Adversarial Examples in the Physical World", arXiv 1607.02533.

    ``step_size`` in pixels is 2.5 eps / steps unless given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 40
    step_size: Radius | None = None

    def recipe(self, task: Task) -> Recipe:
        """``BasicIterativeMethod``."""
        return Recipe(
            "BasicIterativeMethod",
            {
                "eps": task.eps,
                "eps_step": task.stride(self.step_size, self.steps),
                "max_iter": self.steps,
                "targeted": task.targeted,
                "batch_size": task.samples,
                "verbose": False,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; two forwards fill a line of the library's log."""
        return self.steps + 2, self.steps

    __call__ = run


@dataclass(frozen=True)
class PGD:
    """Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks", arXiv 1706.06083.

    ``step_size`` in pixels is 2.5 eps / steps unless given. An l1 step moves one value.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2", "l1"})
    targeted: ClassVar[bool] = True
    defects: ClassVar[tuple[str, ...]] = ("saturated pixels",)  # l1 steps into the border of the box are lost

    steps: PositiveInt = 40
    step_size: Radius | None = None
    restarts: PositiveInt = 1
    random_start: bool = True

    def __post_init__(self) -> None:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"restarts = {self.restarts} with random_start = false would repeat one search; set random_start = true"
            )

    def recipe(self, task: Task) -> Recipe:
        """``ProjectedGradientDescent``."""
        return Recipe(
            "ProjectedGradientDescent",
            {
                "norm": task.norm,
                "eps": task.eps,
                "eps_step": task.stride(self.step_size, self.steps),
                "max_iter": self.steps,
                "num_random_init": self.restarts if self.random_start else 0,
                "targeted": task.targeted,
                "batch_size": task.samples,
                "verbose": False,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; two forwards a restart check for success."""
        return self.restarts * (self.steps + 2), self.restarts * self.steps

    __call__ = run


@dataclass(frozen=True)
class APGD:
    """Auto-PGD: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness", arXiv 2003.01690.

    ``step_size`` in pixels is what it starts with, 2 eps unless given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 100
    step_size: Radius | None = None
    restarts: PositiveInt = 1
    loss: Literal["ce", "dlr"] = "ce"

    @property
    def least_classes(self) -> int:
        """The DLR loss divides by the gap between the first and the third score."""
        return 3 if self.loss == "dlr" else 2

    def recipe(self, task: Task) -> Recipe:
        """``AutoProjectedGradientDescent``."""
        return Recipe(
            "AutoProjectedGradientDescent",
            {
                "norm": task.norm,
                "eps": task.eps,
                "eps_step": 2 * task.eps if self.step_size is None else self.step_size,
                "max_iter": self.steps,
                "nb_random_init": self.restarts,
                "loss_type": _LOSSES[self.loss],
                "targeted": task.targeted,
                "batch_size": task.samples,
                "verbose": False,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most: a step asks for the gradient and then for the loss."""
        return 1 + self.restarts * (2 * self.steps + 3), self.restarts * self.steps

    refuse = refuse
    __call__ = run


@dataclass(frozen=True)
class Square:
    """Andriushchenko et al. 2020, "Square Attack", arXiv 1912.00049, under linf.

    ``p_init`` is the share of the image that the first squares cover. Not under l2: there the library divides a
    window by the length that it should be given.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    targeted: ClassVar[bool] = False
    access: ClassVar[str] = "scores"

    queries: PositiveInt = 5000
    restarts: PositiveInt = 1
    p_init: PositiveFloat = 0.8

    def __post_init__(self) -> None:
        if self.p_init >= 1:
            raise ValueError(f"p_init = {self.p_init} must lie between 0 and 1")

    def recipe(self, task: Task) -> Recipe:
        """``SquareAttack``; raises ``Incompatible`` where its first square is as wide as the image."""
        _, height, width = task.shape
        if round(math.sqrt(self.p_init * height * width)) >= min(height, width):
            raise Incompatible(f"p_init = {self.p_init}: squares do not fit images of {height} x {width}")
        return Recipe(
            "SquareAttack",
            {
                "norm": task.norm,
                "eps": task.eps,
                "max_iter": self.queries,
                "nb_restarts": self.restarts,
                "p_init": self.p_init,
                "batch_size": task.samples,
                "verbose": False,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most: a query costs three forwards here."""
        return self.restarts * 3 * (self.queries + 1), 0

    __call__ = run
