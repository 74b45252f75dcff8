"""How one attack of ART is called: a table entry names a class and its arguments, this does the rest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tiltyard import Batch, Incompatible, Norm, Setting, Threat, Victim

ORDERS: dict[Norm, float] = {"linf": math.inf, "l2": 2, "l1": 1}
Array = NDArray[np.float32]

_BORDER = 0.01


@dataclass(frozen=True)
class Task:
    """What one call is about: threat, images in the call, number of classes, shape (C, H, W) of an image."""

    threat: Threat
    samples: int
    classes: int
    shape: tuple[int, int, int]

    @property
    def eps(self) -> float:
        """Radius in pixels."""
        return float(self.threat.eps)

    @property
    def norm(self) -> float:
        """Order of the norm."""
        return ORDERS[self.threat.norm]

    @property
    def targeted(self) -> bool:
        """Whether the labels given to the library are targets."""
        return self.threat.goal == "targeted"

    def stride(self, step_size: float | None, steps: int) -> float:
        """The step in pixels; without one, 2.5 eps / steps, which reaches any point of the ball."""
        return 2.5 * self.eps / steps if step_size is None else step_size


def generate(attack: Any, x: Array, y: Array) -> Array:
    """The library's own call, on images (N, C, H, W) and labels (N, K), one-hot."""
    images: Array = attack.generate(x=x, y=y)
    return images


@dataclass(frozen=True)
class Recipe:
    """A class of the library by name, its arguments, and how it is set to work.

    ``generate`` stands for the library's own call where that needs help. ``alone`` says that each image gets a
    call of its own. ``wider`` is how far the box reaches beyond [0, 1] for an attack that reparametrises it.
    """

    attack: str
    arguments: dict[str, Any]
    generate: Callable[[Any, Array, Array], Array] = generate
    alone: bool = False
    wider: float = 0.0


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
    """What the library sees of a victim: a function, whose arguments are clamped to [0, 1] if ``clamped``.

    The victim is no submodule, so that the library can neither move it, switch its mode nor clear its gradients.
    """

    def __init__(self, victim: Victim, clamped: bool) -> None:
        super().__init__()
        self._ask: Callable[[Tensor], Tensor] = victim.__call__
        self._clamped = clamped

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K)."""
        if not self._clamped:
            return self._ask(x)
        # A pixel at the border, or beyond it by rounding, keeps its gradient; one well beyond has none.
        near = x.clamp(-_BORDER, 1 + _BORDER)
        return self._ask(near + (near.clamp(0, 1) - near).detach())


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
    recipe = self.recipe(Task(threat, len(batch), victim.classes, (channels, height, width)))
    if recipe.alone:
        return victim.one_by_one(batch, lambda alone, single: _called(recipe, alone, single, threat))
    return _called(recipe, victim, batch, threat)


def _called(recipe: Recipe, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    from art.attacks import evasion

    batch.seed_globals()
    targeted = threat.goal == "targeted" and batch.target is not None
    labels = batch.target if targeted and batch.target is not None else batch.y
    onehot = np.eye(victim.classes, dtype=np.float32)[labels.cpu().numpy()]
    with _device(batch.x.device), torch.enable_grad(), warnings.catch_warnings():
        # Restarts hand torch tensors to numpy, which a later numpy will ask for in another way.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        attack = getattr(evasion, recipe.attack)(_estimator(recipe, victim, batch), **recipe.arguments)
        images = recipe.generate(attack, batch.x.detach().cpu().numpy().copy(), onehot)
    found = torch.from_numpy(np.asarray(images, dtype=np.float32)).to(batch.x)
    return found.clamp(0, 1) if recipe.wider else found


def _estimator(recipe: Recipe, victim: Victim, batch: Batch) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        Scores(victim, clamped=recipe.wider > 0),
        loss=nn.CrossEntropyLoss(reduction="sum"),  # a mean would shrink each image's gradient by the batch size
        input_shape=tuple(batch.x.shape[1:]),
        nb_classes=victim.classes,
        clip_values=(-recipe.wider, 1.0 + recipe.wider),
        device_type="cpu" if batch.x.device.type == "cpu" else "gpu",
    )


def _device(device: torch.device) -> AbstractContextManager[Any]:
    """The library works on the current CUDA device, whatever device the images lie on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


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
