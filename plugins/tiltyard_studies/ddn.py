"""Decoupled direction and norm as the study of squeezing and distillation on Animals-10 has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Setting, Threat, Units, Victim, distance

from .objective import without_logits


@dataclass(frozen=True)
class DDN:
    """Steps of one length on cross-entropy, held to a ball that shrinks where the image is adversarial and else grows.

    The ModelRobustnessClassifier project, after Rony et al. 2019, arXiv 1811.09600. Faults, beside that paper: the
    step never shrinks; the perturbation is only ever shortened to the ball and never stretched to its surface; nothing
    holds the image to valid pixels; and the *last* image that was looked at is returned, adversarial or not, instead
    of the nearest adversarial one. It attacks the network alone, and knows of no detector. What has no gradient stays
    where it is.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l2"})
    units: ClassVar[frozenset[Units]] = frozenset({"normalised"})
    defects: ClassVar[tuple[str, ...]] = ("strength", "logit scale")  # the last image is returned, not the best
    minimal: ClassVar[bool] = True

    steps: Annotated[int, Field(ge=2)] = 300
    step_size: Radius = 0.05
    gamma: float = 0.2
    init_eps: Radius = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma = {self.gamma} must lie between 0 and 1")

    def refuse(self, setting: Setting) -> str | None:
        """Why it cannot take part, or None."""
        return without_logits(setting)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps - 1, self.steps - 1

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The last images that were looked at; ``threat.eps`` is not looked at."""
        delta = torch.zeros_like(batch.x)
        length = torch.full_like(batch.y, self.init_eps, dtype=batch.x.dtype)
        for _ in range(self.steps - 1):  # the last look changes nothing any more
            wrong, slope = _look(victim, batch, batch.x + delta)
            size = distance(slope, "l2").view(-1, 1, 1, 1)
            turned = delta + self.step_size * (slope / size).nan_to_num(0, 0, 0)
            length = torch.where(wrong, length * (1 - self.gamma), length * (1 + self.gamma))
            delta = _renormed(turned, length)
        return batch.x + delta


def _look(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each image is wrong (N,), and the gradient (N, C, H, W) of its cross-entropy."""
    found = [_look_at(victim, batch[part], image[part]) for part in victim.parts(len(image))]
    wrong, slope = (torch.cat(column) for column in zip(*found, strict=True))
    return wrong, slope


def _look_at(victim: Victim, batch: Batch, image: Tensor) -> tuple[Tensor, Tensor]:
    image = image.detach().requires_grad_()
    with torch.enable_grad():
        logits = victim.raw(image, batch.ids)
        (slope,) = torch.autograd.grad(F.cross_entropy(logits, batch.y, reduction="sum"), image)
    return logits.argmax(1) != batch.y, slope


def _renormed(delta: Tensor, length: Tensor) -> Tensor:
    """``delta`` (N, C, H, W) shortened to ``length`` (N,) where it is longer, by the rule of ``torch.renorm``."""
    size = distance(delta, "l2")
    factor = torch.where(size > length, length / (size + 1e-7), 1.0)
    return delta * factor.view(-1, 1, 1, 1)
