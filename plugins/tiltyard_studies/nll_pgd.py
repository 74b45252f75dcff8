"""The projected gradient descent of the study of squeezing and distillation on Animals-10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import PositiveInt
from torch import Tensor

from tiltyard import Batch, Norm, Radius, Setting, Threat, Units, Victim

from .objective import gradient, label_logit, without_logits


@dataclass(frozen=True)
class NLLPGD:
    """Signed steps down the label's logit, from the clean image.

    The ModelRobustnessClassifier project. Faults: the negative log-likelihood is taken of logits without a softmax,
    so the strongest other class plays no part; there is no random start; nothing holds the image to valid pixels; and
    the last image is returned, not the best. It attacks the network alone, and knows of no detector.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    units: ClassVar[frozenset[Units]] = frozenset({"normalised"})

    steps: PositiveInt = 250
    step_size: Radius = 0.001

    def refuse(self, setting: Setting) -> str | None:
        """Why it cannot take part, or None."""
        return without_logits(setting)

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample."""
        return self.steps, self.steps

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """The images after the last step, within ``threat.eps``."""
        image = batch.x
        for _ in range(self.steps):
            moved = image + self.step_size * gradient(label_logit, victim, batch, image).sign()
            image = batch.x + (moved - batch.x).clamp(-threat.eps, threat.eps)
        return image
