"""Sigma-zero against the fewest values that can do it, found by sorting."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Threat, Victim, distance
from tiltyard_native.attacks import SigmaZero


def two(weight: Tensor, bias: float, scale: float = 1.0) -> Classifier:
    """Scores scale (w x + bias, 0)."""
    layer = nn.Linear(len(weight), 2)
    with torch.no_grad():
        layer.weight.copy_(scale * torch.stack([weight, torch.zeros_like(weight)]))
        layer.bias.copy_(scale * torch.tensor([bias, 0.0]))
    return Classifier(nn.Sequential(nn.Flatten(), layer), Category(2)).eval().requires_grad_(False)


def fewest(weight: Tensor, x: Tensor, score: float) -> int:
    """The least number of values of ``x`` to change for the score to fall below 0: the most useful first."""
    gains = torch.where(weight > 0, weight * x, -weight * (1 - x)).sort(descending=True).values.cumsum(0)
    return int((gains <= score).sum()) + 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_it_changes_about_the_fewest_values_that_can_do_it(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, generator=generator)
    x = torch.rand(12, 1, 8, 8, generator=generator)
    bias = 4 - float((x.flatten(1) @ weight).min())
    victim = two(weight, bias, scale)
    batch = Batch(x, torch.zeros(12, dtype=torch.long), torch.arange(12))
    image = SigmaZero()(Victim(victim, batch), batch, Threat("l0"))
    assert bool((batch.margin(victim(image)) < 0).all())
    least = torch.tensor([fewest(weight, one, float(one @ weight) + bias) for one in x.flatten(1)])
    assert bool((distance(image - x, "l0") >= least).all())
    assert bool((distance(image - x, "l0") <= 1.2 * least + 1).all())


def samples(weight: Tensor) -> Batch:
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.zeros(3, dtype=torch.long), torch.arange(3))


def test_a_classifier_without_gradient_gives_the_clean_images() -> None:
    batch = samples(torch.zeros(64))
    assert torch.equal(SigmaZero(steps=10)(Victim(two(torch.zeros(64), 1.0), batch), batch, Threat("l0")), batch.x)


def test_images_that_are_wrong_already_are_left_alone() -> None:
    batch = samples(torch.zeros(64))
    victim = two(torch.randn(64, generator=torch.Generator().manual_seed(0)), -100.0)
    assert torch.equal(SigmaZero(steps=10)(Victim(victim, batch), batch, Threat("l0")), batch.x)


def test_pruning_undoes_changes_that_are_not_needed() -> None:
    weight = torch.ones(64)
    batch = samples(weight)
    victim = two(weight, 0.5 - float(batch.x.flatten(1).sum(1).min()))
    image = torch.where(torch.arange(64).view(1, 1, 8, 8) < 12, 0, batch.x)
    pruned = SigmaZero(prune=12)._pruned(Victim(victim, batch), batch, image)
    assert bool((batch.margin(victim(pruned))[batch.margin(victim(image)) < 0] < 0).all())
    assert int(distance(pruned - batch.x, "l0")[0]) < 12


def test_targets_are_reached() -> None:
    layer = nn.Linear(64, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(4, 64, generator=torch.Generator().manual_seed(1)))
    victim = Classifier(nn.Sequential(nn.Flatten(), layer), Category(4)).eval().requires_grad_(False)
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = victim(x).argmax(1)
    batch = Batch(x, y, torch.arange(8), (y + 1) % 4)
    image = SigmaZero()(Victim(victim, batch), batch, Threat("l0", goal="targeted"))
    assert torch.equal(victim(image).argmax(1), batch.target)
