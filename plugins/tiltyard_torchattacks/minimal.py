"""Attacks of torchattacks that look for the nearest adversarial image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from tiltyard import Norm, margin

from .calling import Recipe, Task, run, untouched

_UNBOUNDED = 1e10  # FAB's own word for "no adversarial image yet"
_WIDER = 0.1
_TIE = 1e-5


@dataclass(frozen=True)
class CW:
    """Carlini & Wagner 2017, "Towards Evaluating the Robustness of Neural Networks", arXiv 1608.04644, under l2.

    ``const`` weighs the margin against the distance; the library does not search for it.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = True
    defects: ClassVar[tuple[str, ...]] = ("logit scale",)  # its constant is not searched for

    steps: PositiveInt = 200
    const: PositiveFloat = 1.0
    confidence: NonNegativeFloat = 0.0
    learning_rate: PositiveFloat = 0.01

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.CW``, its margin, its box and its early stop put right."""

        def repair(attack: Any) -> None:
            attack.f = _Margin(self.confidence, task.threat.goal == "targeted")
            attack.tanh_space, attack.inverse_tanh_space = _image, _free

        arguments = {"c": self.const, "kappa": self.confidence, "steps": self.steps, "lr": self.learning_rate}
        return Recipe("CW", arguments, repair)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.steps, self.steps

    __call__ = run


class _Margin:
    """The hinge of Carlini & Wagner on true margins, less a number that grows from step to step.

    The library's own compares with 0 instead of the best other score wherever that is negative. It also stops the
    whole batch once the sum of all losses rises; the falling number, which no gradient sees, keeps it from that.
    """

    def __init__(self, confidence: float, targeted: bool) -> None:
        self._confidence, self._targeted, self._offset = confidence, targeted, 0.0

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        self._offset += 1e6
        gap = margin(scores, labels, labels if self._targeted else None)
        return gap.clamp_min(-self._confidence) - self._offset


def _image(free: Tensor) -> Tensor:
    """Images of unbounded variables: tanh onto a box wider than [0, 1], then clamped, gradients passing straight.

    tanh onto [0, 1] itself has no gradient at pixels that are 0 or 1, so that they would never move.
    """
    wide = (0.5 + _WIDER) * torch.tanh(free) + 0.5
    return wide + (wide.clamp(0, 1) - wide).detach()


def _free(image: Tensor) -> Tensor:
    """The variables of images in [0, 1]."""
    return torch.atanh((image - 0.5) / (0.5 + _WIDER))


@dataclass(frozen=True)
class DeepFool:
    """Moosavi-Dezfooli et al. 2016, "DeepFool", arXiv 1511.04599, under l2."""

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False

    steps: PositiveInt = 50
    overshoot: NonNegativeFloat = 0.02

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.DeepFool``, which goes through the images one by one in any case."""
        return Recipe("DeepFool", {"steps": self.steps, "overshoot": self.overshoot}, _overshoot, alone=True)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return self.steps + 1, self.steps * classes

    __call__ = run


def _overshoot(attack: Any) -> None:
    """Make it overshoot with the whole perturbation in the end, as the paper does, if it has not crossed before.

    The library overshoots with each step and clips to [0, 1] after it. Where pixels are clipped the steps fall
    short, and the image comes to rest on the boundary, give or take the rounding.
    """
    search = attack.forward

    def forward(images: Tensor, labels: Tensor) -> Tensor:
        found: Tensor = search(images, labels)
        further = (images + (1 + attack.overshoot) * (found - images)).clamp(0, 1)
        scores = attack.get_logits(found)
        rounding = _TIE * (scores.amax(1) - scores.amin(1))
        crossed = margin(scores, labels) < -rounding
        return torch.where(crossed.view(-1, 1, 1, 1), found, further)

    attack.forward = forward


@dataclass(frozen=True)
class FAB:
    """Croce & Hein 2020, "Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack",
    arXiv 1907.02044.

    ``alpha_max`` biases a step towards the clean image, ``eta`` overshoots, ``beta`` steps back.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2", "l1"})
    minimal: ClassVar[bool] = True
    targeted: ClassVar[bool] = False

    steps: PositiveInt = 100
    alpha_max: NonNegativeFloat = 0.1
    eta: PositiveFloat = 1.05
    beta: PositiveFloat = 0.9

    def recipe(self, task: Task) -> Recipe:
        """``torchattacks.FAB``; under l1 without its restarts, which do not know that norm."""

        def one_run(attack: Any) -> None:
            attack.perturb = attack.attack_single_run

        arguments = {
            "norm": task.norm,
            "eps": _UNBOUNDED,
            "steps": self.steps,
            "alpha_max": self.alpha_max,
            "eta": self.eta,
            "beta": self.beta,
            "seed": task.seed,
        }
        return Recipe("FAB", arguments, one_run if task.threat.norm == "l1" else untouched)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most."""
        return 2 * self.steps + 3, self.steps * classes

    __call__ = run
