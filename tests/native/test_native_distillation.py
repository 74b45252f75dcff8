"""Defensive distillation: how it is trained, what it hides, and what sees through it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Classifier, Setting, Threat, Victim
from tiltyard_native.attacks import PGD
from tiltyard_native.defences import Distillation, Undefended
from tiltyard_native.defences.distillation import Softened

Digits = tuple[Tensor, Tensor]


def gap(classifier: Classifier, x: Tensor) -> float:
    """Median gap between the two best scores."""
    best = classifier(x).topk(2, dim=1).values
    return float((best[:, 0] - best[:, 1]).median())


def test_a_teacher_and_a_student_are_asked_for_by_temperature(trainer: Any) -> None:
    Distillation(temperature=20)(trainer)
    assert trainer.keys == ["distillation teacher, temperature 20", "distillation student, temperature 20"]


def test_the_students_loss_falls_to_the_entropy_of_its_teachers_answers(trainer: Any) -> None:
    """Cross-entropy with soft answers is at least their entropy, which a student of equal size all but reaches."""
    Distillation(temperature=20)(trainer)
    teacher_losses, student_losses = trainer.losses
    assert student_losses[-1] < 0.1 * student_losses[0]
    teacher = trainer(Softened(20.0), key="again")
    answers = (teacher(trainer.x) / 20).softmax(1)
    entropy = float(-(answers * answers.log()).sum(1).mean())
    assert entropy <= student_losses[-1] <= 1.3 * entropy
    assert trainer.losses[2] == teacher_losses


def test_objectives_are_cross_entropies_at_the_temperature(trainer: Any) -> None:
    x, y = trainer.x[:20], trainer.y[:20]
    student, teacher = trainer(), trainer(Softened(5.0), key="teacher")
    hard = -(student(x) / 5).log_softmax(1)[torch.arange(20), y]
    assert torch.allclose(Softened(5.0)(student, x, y), hard, atol=1e-5)
    answers = (teacher(x) / 5).softmax(1)
    soft = -(answers * (student(x) / 5).log_softmax(1)).sum(1)
    assert torch.allclose(Softened(5.0, teacher)(student, x, y), soft, atol=1e-5)


def test_scores_grow_with_the_temperature_and_accuracy_stays(trainer: Any, digits: Digits) -> None:
    x, y = digits[0][1197:], digits[1][1197:]
    cold, warm = Distillation(temperature=1)(trainer), Distillation(temperature=20)(trainer)
    assert 5 < gap(warm, x) / gap(cold, x) < 40
    right = [float((classifier(x).argmax(1) == y).float().mean()) for classifier in (cold, warm)]
    assert abs(right[0] - right[1]) < 0.03


def test_at_100_cross_entropy_sees_no_gradient_and_the_margin_breaks_it(trainer: Any, digits: Digits) -> None:
    student = Distillation(temperature=100)(trainer)
    x, y = digits[0][1197:1397], digits[1][1197:1397]
    batch = Batch(x, y, torch.arange(200))[student(x).argmax(1) == y]
    image = batch.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(student(image), batch.y, reduction="sum"), image)
    assert float((gradient == 0).float().mean()) > 0.75

    def broken(loss: Any) -> float:
        found = PGD(steps=20, loss=loss)(Victim(student, batch), batch, Threat("linf", 0.2))
        return float((student(found).argmax(1) != batch.y).float().mean())

    assert broken("ce") < 0.3
    assert broken("margin") > 0.95


def setting(category: bool, trained: bool) -> Setting:
    class Labels:
        def __init__(self) -> None:
            self.category = category

    return Setting(None, None, Labels(), Undefended(), PGD(), "linf", "untargeted", trained)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("category", "trained", "sentence"), [(False, True, "category labels"), (True, False, "given weights")]
)
def test_it_is_refused_with_a_sentence(category: bool, trained: bool, sentence: str) -> None:
    assert sentence in str(Distillation().refuse(setting(category, trained)))
    assert Distillation().refuse(setting(True, True)) is None
