"""Attacks of ART that follow gradients to the nearest adversarial image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from tiltyard import Norm

from .calling import Array, Recipe, Task, generate, run

# A pixel that is 0 or 1 lies where tanh onto [0, 1] is flat and would never move. So tanh maps onto a box that
# is this much wider, and the scores are those of the clamped image: outside [0, 1] there is nothing to gain.
_WIDER = 0.1
_TAUS = 53  # from 1 down to 1/256, a tenth less each time
_RULES: dict[Norm, str] = {"l1": "L1", "l2": "L2"}


@dataclass(frozen=True)
class DeepFool:
    """Moosavi-Dezfooli et al. 2016, "DeepFool", arXiv 1511.04599, under l2.

    ``candidates`` is the number of most likely classes whose boundaries are looked at.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False

    steps: PositiveInt = 50
    overshoot: NonNegativeFloat = 0.02
    candidates: PositiveInt = 10

    def recipe(self, task: Task) -> Recipe:
        """``DeepFool``."""
        return Recipe(
            "DeepFool",
            {
                "max_iter": self.steps,
                "epsilon": self.overshoot,
                "nb_grads": self.candidates,
                "batch_size": task.samples,
                "verbose": False,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; the classes looked at are those of all images together."""
        jacobian = classes if self.candidates < classes else 1
        return (self.steps + 1) * (1 + jacobian), (self.steps + 1) * classes

    __call__ = run


@dataclass(frozen=True)
class CWL2:
    """Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural Networks", arXiv 1608.04644, under l2.

    The library descends with a line search in place of Adam. ``const`` is the first of ``search_steps``
    constants, each twice the last until one succeeds.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 20
    search_steps: PositiveInt = 9
    const: PositiveFloat = 0.1
    confidence: NonNegativeFloat = 0.0
    learning_rate: PositiveFloat = 0.01

    def recipe(self, task: Task) -> Recipe:
        """``CarliniL2Method``, in a box in which pixels that are 0 or 1 can move."""
        return Recipe(
            "CarliniL2Method",
            {
                "max_iter": self.steps,
                "binary_search_steps": self.search_steps,
                "initial_const": self.const,
                "confidence": self.confidence,
                "learning_rate": self.learning_rate,
                "targeted": task.targeted,
                "batch_size": task.samples,
                "verbose": False,
            },
            wider=_WIDER,
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; a gradient costs a backward for each class in the batch."""
        return self.search_steps * (13 * self.steps + 1) + 2, self.search_steps * self.steps * 2 * classes

    __call__ = run


@dataclass(frozen=True)
class CWLinf:
    """Carlini & Wagner 2017, arXiv 1608.04644, under linf: no pixel beyond tau, and tau falls by a tenth a round.

    In each round the margin's weight goes from ``const`` to ``largest_const`` in factors of ``const_factor``.
    Not targeted: the library then takes any image that misses the target for a success.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False

    steps: PositiveInt = 100
    const: PositiveFloat = 1.0
    largest_const: PositiveFloat = 20.0
    const_factor: PositiveFloat = 5.0
    confidence: NonNegativeFloat = 0.0
    learning_rate: PositiveFloat = 0.01

    def __post_init__(self) -> None:
        if self.const_factor <= 1:
            raise ValueError(f"const_factor = {self.const_factor} must exceed 1: it is what the weight grows by")
        if self.largest_const <= self.const:
            raise ValueError(f"largest_const = {self.largest_const} must exceed const = {self.const}")

    def recipe(self, task: Task) -> Recipe:
        """``CarliniLInfMethod``, its gradient put right, in a box in which pixels that are 0 or 1 can move."""
        return Recipe(
            "CarliniLInfMethod",
            {
                "max_iter": self.steps,
                "initial_const": self.const,
                "largest_const": self.largest_const,
                "const_factor": self.const_factor,
                "confidence": self.confidence,
                "learning_rate": self.learning_rate,
                "verbose": False,
            },
            generate=_weighed,
            alone=True,
            wider=_WIDER,
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        weights = math.ceil(math.log(self.largest_const / self.const, self.const_factor))
        return _TAUS * weights * (4 * self.steps + 2), _TAUS * weights * 2 * self.steps

    __call__ = run


def _weighed(attack: Any, x: Array, y: Array) -> Array:
    """The library's call with the gradient of its own objective.

    It leaves out the margin's weight, and goes on pushing an image that is adversarial already.
    """
    optimise, slope = attack._generate_single, attack._loss_gradient
    weight = 0.0

    def optimised(*rest: Any, const: float, tau: float) -> Any:
        nonlocal weight
        weight = const
        return optimise(*rest, const=const, tau=tau)

    def gradient(z: Any, target: Any, image: Any, free: Any, low: float, high: float, clean: Any, tau: float) -> Any:
        total = slope(z, target, image, free, low, high, clean, tau)
        stretch = (high - low) * (1 - np.square(np.tanh(free))) / (2 * attack._tanh_smoother)
        excess = np.sign(np.maximum(0.0, np.abs(image - clean) - tau)) * np.sign(image - clean) * stretch
        gap = np.sum(z * target, 1) - np.max(np.where(target > 0, -np.inf, z), 1)
        return weight * (gap[0] + attack.confidence > 0) * (total - excess) + excess

    attack._generate_single, attack._loss_gradient = optimised, gradient
    return generate(attack, x, y)


@dataclass(frozen=True)
class ElasticNet:
    """Chen et al. 2018, "EAD: Elastic-Net Attacks to Deep Neural Networks", arXiv 1709.04114.

    ``beta`` weighs l1 against squared l2. The nearest image is chosen under the threat's norm.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l1", "l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True

    steps: PositiveInt = 100
    search_steps: PositiveInt = 9
    const: PositiveFloat = 0.001
    beta: NonNegativeFloat = 0.001
    confidence: NonNegativeFloat = 0.0
    learning_rate: PositiveFloat = 0.01

    def recipe(self, task: Task) -> Recipe:
        """``ElasticNet``."""
        return Recipe(
            "ElasticNet",
            {
                "max_iter": self.steps,
                "binary_search_steps": self.search_steps,
                "initial_const": self.const,
                "beta": self.beta,
                "confidence": self.confidence,
                "learning_rate": self.learning_rate,
                "decision_rule": _RULES[task.threat.norm],
                "targeted": task.targeted,
                "batch_size": task.samples,
                "verbose": False,
            },
        )

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most; a gradient costs a backward for each class in the batch."""
        return 4 * self.search_steps * self.steps + 2, self.search_steps * self.steps * 2 * classes

    __call__ = run
