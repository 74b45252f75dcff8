"""FMN against closed-form optima under every norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Threat, Victim, distance
from tiltyard_native.attacks import FMN

DISTANCE: dict[Norm, float] = {"linf": 0.03, "l2": 0.25, "l1": 0.15}
TARGETED: dict[Norm, float] = {"linf": 0.08, "l2": 0.8, "l1": 0.6}
SLACK: dict[Norm, float] = {"linf": 1.02, "l2": 1.02, "l1": 1.1}


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_distances_are_near_the_optimum(linear: Callable[[int], Any], norm: Norm, targeted: bool, classes: int) -> None:
    victim = linear(classes)
    optimum = (TARGETED if targeted else DISTANCE)[norm]
    batch = victim.batch(8, norm, optimum, targeted)
    image = FMN()(Victim(victim.classifier, batch), batch, Threat(norm))
    assert bool((batch.margin(victim.classifier(image)) < 0).all())
    ratio = distance(image - batch.x, norm) / optimum
    assert 1 - 1e-4 <= float(ratio.min()) <= float(ratio.max()) <= SLACK[norm]


def flat(weight: Tensor, bias: float) -> Classifier:
    """Scores (w x + bias, 0)."""
    layer = nn.Linear(len(weight), 2)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([weight, torch.zeros_like(weight)]))
        layer.bias.copy_(torch.tensor([bias, 0.0]))
    return Classifier(nn.Sequential(nn.Flatten(), layer), Category(2)).eval().requires_grad_(False)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e3, 0.0), (1.0, 100.0), (1.0, -100.0)])
def test_scale_and_offset_of_scores_do_not_matter(
    linear: Callable[[int], Any], norm: Norm, scale: float, shift: float
) -> None:
    victim = linear(3)
    batch = victim.batch(8, "l2", 0.25, False)

    def length(factor: float, offset: float) -> Tensor:
        class Scaled(Classifier):
            def outputs(self, x: Tensor) -> Any:
                found = super().outputs(x)
                return found._replace(scores=factor * found.scores + offset)

        seen = Scaled(victim.classifier.network, Category(3)).eval()
        image = FMN(steps=60)(Victim(seen, batch), batch, Threat(norm))
        assert bool((batch.margin(seen(image)) < 0).all())
        return distance(image - batch.x, norm)

    assert torch.allclose(length(scale, shift), length(1.0, 0.0), rtol=0.1, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_classifier_without_gradient_gives_the_clean_images(norm: Norm) -> None:
    victim = flat(torch.zeros(64), 1.0)
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.zeros(3, dtype=torch.long), torch.arange(3))
    assert torch.equal(FMN(steps=10)(Victim(victim, batch), batch, Threat(norm)), x)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_images_that_are_wrong_already_are_left_alone(linear: Callable[[int], Any], norm: Norm) -> None:
    victim = linear(3)
    batch = victim.batch(5, "l2", 0.25, False)
    batch = Batch(batch.x, (batch.y + 1) % 3, batch.ids)
    assert torch.equal(FMN(steps=10)(Victim(victim.classifier, batch), batch, Threat(norm)), batch.x)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_pixels_that_are_black_or_white_can_move(norm: Norm) -> None:
    weight = torch.randn(64, generator=torch.Generator().manual_seed(0))
    x = (weight > 0).float().view(1, 1, 8, 8)
    victim = flat(weight, -float(x.flatten() @ weight) + 3.0)
    batch = Batch(x, torch.zeros(1, dtype=torch.long), torch.arange(1))
    image = FMN()(Victim(victim, batch), batch, Threat(norm))
    assert bool((batch.margin(victim(image)) < 0).all())


def test_gamma_is_checked() -> None:
    with pytest.raises(ValueError, match=r"gamma = 1\.5"):
        FMN(gamma=1.5)
