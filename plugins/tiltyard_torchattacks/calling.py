"""How one attack of torchattacks is called: a table entry names a class and its arguments, this does the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tiltyard import Batch, Incompatible, Norm, Setting, Threat, Victim

NAMES: dict[Norm, str] = {"linf": "Linf", "l2": "L2", "l1": "L1"}


@dataclass(frozen=True)
class Task:
    """What one call is about: threat, number of classes, shape (C, H, W) of an image, and seed."""

    threat: Threat
    classes: int
    shape: tuple[int, int, int]
    seed: int

    @property
    def eps(self) -> float:
        """Radius in pixels."""
        return self.threat.eps

    @property
    def norm(self) -> str:
        """The library's name of the norm."""
        return NAMES[self.threat.norm]

    def stride(self, step_size: float | None, steps: int) -> float:
        """The step in pixels; without one, 2.5 eps / steps, which reaches any point of the ball."""
        return 2.5 * self.eps / steps if step_size is None else step_size


def untouched(attack: Any) -> None:
    """The repair of an attack that needs none."""


@dataclass(frozen=True)
class Recipe:
    """A class of the library by name, its arguments, and what the library's own call gets wrong.

    ``repair`` changes the attack object before it runs. ``alone`` says that each image needs a call of its own.
    """

    attack: str
    arguments: dict[str, Any]
    repair: Callable[[Any], None] = untouched
    alone: bool = False


class Wrapped(Protocol):
    """A table entry."""

    def recipe(self, task: Task) -> Recipe:
        """What to call for this task."""


class Choosy(Protocol):
    """A table entry whose loss ranks several classes."""

    @property
    def least_classes(self) -> int:
        """The number of classes it needs."""


class Scores(nn.Module):
    """What the library sees of a victim: a function, and a parameter that tells the device.

    The victim is no submodule, so that the library can neither switch its mode nor touch its gradients.
    """

    def __init__(self, victim: Victim, device: torch.device) -> None:
        super().__init__()
        self.device = nn.Parameter(torch.empty(0, device=device), requires_grad=False)
        self._ask: Callable[[Tensor], Tensor] = victim.__call__

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K)."""
        return self._ask(x)


def run(self: Wrapped, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    """The ``__call__`` of every table entry: images of the shape of ``batch.x``.

    Raises ``Incompatible`` where the victim has too few classes or the images have a shape that the library
    cannot treat.
    """
    if too_few := lacking(self, victim.classes):
        raise Incompatible(too_few)
    if threat.eps == 0:  # the libraries refuse it, or divide by it
        with torch.no_grad():
            victim(batch.x)
        return batch.x.clone()
    channels, height, width = batch.x.shape[1:]
    recipe = self.recipe(Task(threat, victim.classes, (channels, height, width), batch.call_seed))
    if recipe.alone:
        return victim.one_by_one(batch, lambda alone, single: _called(recipe, alone, single, threat))
    return _called(recipe, victim, batch, threat)


def _called(recipe: Recipe, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    import torchattacks

    batch.seed_globals()
    attack = getattr(torchattacks, recipe.attack)(Scores(victim, batch.x.device), **recipe.arguments)
    labels = batch.y
    if threat.goal == "targeted" and batch.target is not None:
        attack.set_mode_targeted_by_label(quiet=True)
        labels = batch.target
    recipe.repair(attack)
    with torch.enable_grad():
        images: Tensor = attack(batch.x, labels)
    return images.detach()


def refuse(self: Choosy, setting: Setting) -> str | None:
    """The ``refuse`` of a table entry that needs several classes."""
    classes = setting.dataset.classes
    return None if classes is None else lacking(self, classes)


def lacking(attack: object, classes: int) -> str | None:
    """Why this number of classes is too small, or None."""
    least: int = getattr(attack, "least_classes", 2)
    if classes >= least:
        return None
    return f"its loss ranks {least} classes, and there are {classes}"
