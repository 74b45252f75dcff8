"""Defensive distillation: a student learns the softened answers of its teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from tiltyard import Classifier, Setting, Trainer


@dataclass(frozen=True)
class Softened:
    """Cross-entropy (N,) of scores over ``temperature``, with the labels or with a teacher's softened answers."""

    temperature: float
    teacher: Classifier | None = None

    def __call__(self, classifier: Classifier, x: Tensor, y: Tensor) -> Tensor:
        """Losses (N,) of images (N, C, H, W); a teacher answers the very images of the batch."""
        aim = y if self.teacher is None else self._answers(self.teacher, x)
        return F.cross_entropy(classifier(x) / self.temperature, aim, reduction="none")

    @torch.no_grad()
    def _answers(self, teacher: Classifier, x: Tensor) -> Tensor:
        scores: Tensor = teacher(x)
        return (scores / self.temperature).softmax(1)


@dataclass(frozen=True)
class Distillation:
    """A student trained on the softened answers of its teacher.

    Papernot et al. 2016, "Distillation as a Defense to Adversarial Perturbations", arXiv 1511.04508. Teacher
    and student are of one architecture and train at ``temperature``; the student is deployed at 1, where its
    scores are about ``temperature`` times as large. The softmax then saturates and cross-entropy has no
    gradient left, which stops attacks that need one: Carlini & Wagner 2017, arXiv 1608.04644, break it wholly.
    """

    temperature: PositiveFloat = 20.0

    fits: ClassVar[int] = 2

    def refuse(self, setting: Setting) -> str | None:
        """Why a setting leaves nothing to distil, or None."""
        if not setting.labels.category:
            return "distillation softens a softmax over the classes: it needs category labels"
        if not setting.trained:
            return "distillation trains a teacher and a student: it can not be had with given weights"
        return None

    def __call__(self, train: Trainer) -> Classifier:
        """The student."""
        named = f"temperature {self.temperature:g}"
        teacher = train(Softened(self.temperature), key=f"distillation teacher, {named}")
        return train(Softened(self.temperature, teacher), key=f"distillation student, {named}")
