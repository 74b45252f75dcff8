"""Attacks against the closed-form optimum of linear victims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tiltyard import Norm, Threat, Victim, distance
from tiltyard_native.attacks import BIM, DDN, FGSM, PGD, MultiTargeted, Noise

DISTANCE: dict[Norm, float] = {"linf": 0.03, "l2": 0.25, "l1": 0.15}
SLACK: dict[Norm, float] = {"linf": 1.02, "l2": 1.02, "l1": 1.1}


def share_broken(
    attack: Any, victim: Any, norm: Norm, factor: float, size: int, targeted: bool, lean: float = 10
) -> float:
    """Share of samples broken at ``factor`` times their optimum."""
    batch = victim.batch(size, norm, DISTANCE[norm], targeted, lean)
    threat = Threat(norm, factor * DISTANCE[norm], "targeted" if targeted else "untargeted")
    image = attack(Victim(victim.classifier, batch), batch, threat)
    assert float(distance(image - batch.x, norm).max()) <= threat.eps * (1 + 1e-5)
    return float((batch.margin(victim.classifier(image)) < 0).float().mean())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("size", [1, 5, 16])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_pgd_breaks_all_just_above_the_optimum_and_none_below(
    linear: Callable[[int], Any], norm: Norm, size: int, targeted: bool, classes: int
) -> None:
    victim = linear(classes)
    assert share_broken(PGD(), victim, norm, SLACK[norm], size, targeted) == 1
    assert share_broken(PGD(), victim, norm, 0.98, size, targeted) == 0


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_multi_targeted_finds_the_nearest_class_among_near_ones(
    linear: Callable[[int], Any], norm: Norm, classes: int
) -> None:
    victim = linear(classes)
    assert share_broken(MultiTargeted(), victim, norm, SLACK[norm], 16, False, lean=0) == 1
    assert share_broken(MultiTargeted(), victim, norm, 0.98, 16, False, lean=0) == 0


def test_pgd_can_be_caught_at_a_wrong_class_where_multi_targeted_is_not(linear: Callable[[int], Any]) -> None:
    assert share_broken(PGD(), linear(4), "linf", 1.02, 16, False, lean=0) < 1


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("attack", [FGSM(), FGSM("ce"), BIM(), BIM(loss="ce"), PGD(loss="label")])
def test_gradient_steps_are_exact_between_two_classes(linear: Callable[[int], Any], norm: Norm, attack: Any) -> None:
    victim = linear(2)
    assert share_broken(attack, victim, norm, SLACK[norm], 16, False) == 1
    assert share_broken(attack, victim, norm, 0.98, 16, False) == 0


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_dlr_breaks_all_just_above_the_optimum(linear: Callable[[int], Any], norm: Norm, targeted: bool) -> None:
    assert share_broken(PGD(loss="dlr"), linear(4), norm, 1.05, 16, targeted) == 1


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("size", [1, 5, 16])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_ddn_comes_within_two_per_cent_of_the_optimum(
    linear: Callable[[int], Any], loss: Any, size: int, targeted: bool, classes: int
) -> None:
    victim = linear(classes)
    optimum = 0.8 if targeted else 0.25
    batch = victim.batch(size, "l2", optimum, targeted)
    image = DDN(loss=loss)(Victim(victim.classifier, batch), batch, Threat("l2"))
    assert bool((batch.margin(victim.classifier(image)) < 0).all())
    ratio = distance(image - batch.x, "l2") / optimum
    assert 1 - 1e-4 <= float(ratio.min()) <= float(ratio.max()) <= 1.02


def test_ddn_returns_images_of_256_grey_values(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(16, "l2", 0.25, False)
    image = DDN(levels=256)(Victim(victim.classifier, batch), batch, Threat("l2"))
    assert torch.allclose((image * 255).round() / 255, image, atol=1e-7)
    assert bool((batch.margin(victim.classifier(image)) < 0).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_noise_is_far_weaker_than_a_gradient(linear: Callable[[int], Any], norm: Norm) -> None:
    assert share_broken(Noise(draws=10), linear(3), norm, 1.1, 16, False) <= 0.1
