"""Auto-PGD of torchattacks, untargeted and over target classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import PositiveFloat, PositiveInt

from tiltyard import Norm

from .calling import Recipe, Task, refuse, run


@dataclass(frozen=True)
class APGD:
    """Auto-PGD: Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness", arXiv 2003.01690.

    ``rho`` is the share of rising steps below which the step is halved; ``eot`` gradients are averaged.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    targeted: ClassVar[bool] = False

    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    loss: Literal["ce", "dlr"] = "ce"
    eot: PositiveInt = 1
    rho: PositiveFloat = 0.75

    @property
    def least_classes(self) -> int:
        """The DLR loss divides by the gap between the first and the third score."""
        return 3 if self.loss == "dlr" else 2

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.APGD``."""
        return Recipe(
            "APGD",
            {
                "norm": task.norm,
                "eps": task.eps,
                "steps": self.steps,
                "n_restarts": self.restarts,
                "seed": task.seed,
                "loss": self.loss,
                "eot_iter": self.eot,
                "rho": self.rho,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        gradients = self.restarts * (self.steps + 1) * self.eot
        return 1 + gradients, gradients

    refuse = refuse
    __call__ = run


@dataclass(frozen=True)
class APGDT:
    """Auto-PGD on the targeted DLR loss, one target class after the other: Croce & Hein 2020, arXiv 2003.01690.

    ``targets`` is the number of most likely wrong classes that are tried. The goal stays untargeted.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2"})
    targeted: ClassVar[bool] = False

    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    targets: PositiveInt = 9
    eot: PositiveInt = 1
    rho: PositiveFloat = 0.75

    @property
    def least_classes(self) -> int:
        """The targeted DLR loss divides by a gap that the fourth score enters."""
        return 4

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.APGDT``; its l2 step is that of the first image for all, so each is called alone."""
        return Recipe(
            "APGDT",
            {
                "norm": task.norm,
                "eps": task.eps,
                "steps": self.steps,
                "n_restarts": self.restarts,
                "seed": task.seed,
                "eot_iter": self.eot,
                "rho": self.rho,
                "n_classes": min(self.targets + 1, task.classes),
            },
            alone=task.threat.norm == "l2",
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        runs = self.restarts * min(self.targets, classes - 1)
        gradients = runs * (self.steps + 1) * self.eot
        return 1 + runs + gradients, gradients

    refuse = refuse
    __call__ = run
