"""Carlini & Wagner's attack against closed-form optima, and against the faults its implementations are known for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Threat, Victim, distance
from tiltyard_native.attacks import CW


def two(weight: Tensor, bias: float, shift: float = 0.0, scale: float = 1.0) -> Classifier:
    """Scores scale (w x + bias, 0) + shift."""
    layer = nn.Linear(len(weight), 2)
    with torch.no_grad():
        layer.weight.copy_(scale * torch.stack([weight, torch.zeros_like(weight)]))
        layer.bias.copy_(torch.tensor([scale * bias + shift, shift]))
    return Classifier(nn.Sequential(nn.Flatten(), layer), Category(2)).eval().requires_grad_(False)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_distances_are_within_two_per_cent_of_the_optimum(
    linear: Callable[[int], Any], targeted: bool, classes: int
) -> None:
    victim = linear(classes)
    optimum = 0.8 if targeted else 0.25
    batch = victim.batch(8, "l2", optimum, targeted)
    image = CW(steps=100)(Victim(victim.classifier, batch), batch, Threat("l2"))
    assert bool((batch.margin(victim.classifier(image)) < 0).all())
    ratio = distance(image - batch.x, "l2") / optimum
    assert 1 - 1e-4 <= float(ratio.min()) <= float(ratio.max()) <= 1.02


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (-100.0, 1.0), (100.0, 1.0), (0.0, 1e-3), (0.0, 1e3)])
def test_binary_images_move_whatever_scale_and_offset_the_scores_have(shift: float, scale: float) -> None:
    """A tanh that ends at the box leaves black and white pixels where they are; a margin against 0 wants an offset."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, generator=generator)
    x = (torch.rand(6, 1, 8, 8, generator=generator) > 0.5).float()
    bias = 2.0 - float((x.flatten(1) @ weight).min())
    victim = two(weight, bias, shift, scale)
    batch = Batch(x, torch.zeros(6, dtype=torch.long), torch.arange(6))
    image = CW(steps=60, binary_search_steps=5)(Victim(victim, batch), batch, Threat("l2"))
    assert bool((batch.margin(victim(image)) < 0).all())
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


def test_confidence_is_the_margin_left_to_the_other_side(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(8, "l2", 0.25, False)
    plain = CW(steps=60)(Victim(victim.classifier, batch), batch, Threat("l2"))
    sure = CW(steps=60, confidence=2.0)(Victim(victim.classifier, batch), batch, Threat("l2"))
    assert bool((batch.margin(victim.classifier(sure)) <= -2).all())
    assert bool((distance(sure - batch.x, "l2") > distance(plain - batch.x, "l2")).all())


def test_a_sample_that_gains_no_more_leaves_and_loses_nothing(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(8, "l2", 0.25, False)
    early, late = Victim(victim.classifier, batch), Victim(victim.classifier, batch)
    image = CW(steps=200)(early, batch, Threat("l2"))
    whole = CW(steps=200, abort_early=False)(late, batch, Threat("l2"))
    assert bool((early.forwards < late.forwards).all())
    assert late.forwards.tolist() == [CW(steps=200).passes(3)[0]] * 8
    ratio = distance(image - batch.x, "l2") / distance(whole - batch.x, "l2")
    assert float(ratio.max()) < 1.02


def test_a_classifier_without_gradient_gives_the_clean_images() -> None:
    victim = two(torch.zeros(64), 1.0)
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.zeros(3, dtype=torch.long), torch.arange(3))
    assert torch.equal(CW(steps=20)(Victim(victim, batch), batch, Threat("l2")), x)


def test_images_that_are_wrong_already_are_left_alone(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(5, "l2", 0.25, False)
    batch = Batch(batch.x, (batch.y + 1) % 3, batch.ids)
    image = CW(steps=20, binary_search_steps=2)(Victim(victim.classifier, batch), batch, Threat("l2"))
    assert torch.allclose(image, batch.x, atol=1e-6)
