"""DeepFool against closed-form optima, class by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Threat, Victim, distance
from tiltyard_native.attacks import DeepFool

DISTANCE: dict[Norm, float] = {"linf": 0.03, "l2": 0.25}


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_one_step_crosses_the_nearest_of_near_boundaries(
    linear: Callable[[int], Any], norm: Norm, classes: int
) -> None:
    victim = linear(classes)
    batch = victim.batch(8, norm, DISTANCE[norm], False, lean=0)
    seen = Victim(victim.classifier, batch)
    image = DeepFool(overshoot=0.01)(seen, batch, Threat(norm))
    assert bool((batch.margin(victim.classifier(image)) < 0).all())
    ratio = distance(image - batch.x, norm) / DISTANCE[norm]
    assert torch.allclose(ratio, torch.full_like(ratio, 1.01), atol=5e-3)
    assert seen.forwards.tolist() == [3] * 8  # one ranks the classes, one is to be linearised, one has crossed
    assert seen.backwards.tolist() == [classes - 1] * 8


def test_fewer_candidates_cost_less_and_keep_the_highest_scores(linear: Callable[[int], Any]) -> None:
    victim = linear(5)
    batch = victim.batch(8, "l2", 0.25, False)  # each sample leans to its nearest class
    seen = Victim(victim.classifier, batch)
    image = DeepFool(candidates=2)(seen, batch, Threat("l2"))
    assert float((distance(image - batch.x, "l2") / 0.25).max()) <= 1.025
    assert seen.backwards.tolist() == [2] * 8


def test_a_finished_sample_leaves_and_the_others_go_on() -> None:
    class Bent(nn.Module):
        """Linear for dark images, curved for bright ones."""

        def forward(self, x: Tensor) -> Tensor:
            s = x.flatten(1).mean(1)
            return torch.stack([torch.where(s < 0.4, 0.3 - s, (0.9 - s) ** 3), torch.zeros_like(s)], 1)

    victim = Classifier(Bent(), Category(2)).eval()
    x = torch.tensor([0.2, 0.5]).view(2, 1, 1, 1).expand(2, 1, 4, 4).clone()
    batch = Batch(x, torch.zeros(2, dtype=torch.long), torch.arange(2))
    seen = Victim(victim, batch)
    DeepFool(steps=10)(seen, batch, Threat("l2"))
    assert seen.forwards.tolist() == [3, 12]
    assert seen.backwards.tolist() == [2, 10]  # one batch, one gradient: the first is not spared that of its last look


def test_a_classifier_without_gradient_gives_the_clean_images() -> None:
    layer = nn.Linear(16, 3)
    nn.init.zeros_(layer.weight)
    victim = Classifier(nn.Sequential(nn.Flatten(), layer), Category(3)).eval().requires_grad_(False)
    x = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, victim(x).argmax(1), torch.arange(3))
    assert torch.equal(DeepFool(steps=5)(Victim(victim, batch), batch, Threat("l2")), x)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_scale_of_scores_does_not_matter(linear: Callable[[int], Any], norm: Norm, scale: float) -> None:
    victim = linear(3)
    batch = victim.batch(8, norm, DISTANCE[norm], False)
    victim.classifier.network[1].weight.mul_(scale)
    victim.classifier.network[1].bias.mul_(scale)
    image = DeepFool()(Victim(victim.classifier, batch), batch, Threat(norm))
    ratio = distance(image - batch.x, norm) / DISTANCE[norm]
    assert torch.allclose(ratio, torch.full_like(ratio, 1.02), atol=5e-3)
