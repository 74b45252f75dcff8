"""Projections and steps against convex programmes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tiltyard import Batch, Norm, Threat, distance, project
from tiltyard_native.attacks.region import nearest, random_image, steepest


def images(count: int = 48) -> tuple[Tensor, Tensor]:
    """Clean images with many pixels at 0 and 1, and images from just beside them to far outside."""
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(count, 3, 5, 5, generator=generator)
    clean = torch.where(torch.rand(clean.shape, generator=generator) < 0.4, clean.round(), clean)
    moved = torch.rand(clean.shape, generator=generator) < 0.7
    size = torch.logspace(-2, 0.5, count).view(-1, 1, 1, 1)
    return clean, clean + size * moved * torch.randn(clean.shape, generator=generator)


def bisected(image: Tensor, clean: Tensor, norm: Norm, eps: float) -> Tensor:
    """The projection by its optimality condition, the multiplier found by bisection in float64."""
    delta, clean = (image - clean).double(), clean.double()

    def candidate(multiplier: Tensor) -> Tensor:
        soft = delta.sign() * (delta.abs() - multiplier).clamp_min(0)
        shrunk = delta / (1 + multiplier) if norm == "l2" else soft
        return (clean + shrunk).clamp(0, 1) - clean

    low = torch.zeros(len(delta), 1, 1, 1, dtype=torch.float64)
    high = torch.full_like(low, 1e4)
    inside = (distance(candidate(low), norm) <= eps).view(-1, 1, 1, 1)
    for _ in range(80):
        middle = (low + high) / 2
        long = (distance(candidate(middle), norm) > eps).view(-1, 1, 1, 1)
        low, high = torch.where(long, middle, low), torch.where(long, high, middle)
    return clean + torch.where(inside, candidate(torch.zeros_like(low)), candidate(high))


@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.1), ("l2", 1), ("l2", 4), ("l1", 0.3), ("l1", 4), ("l1", 25)])
def test_nearest_is_the_euclidean_projection_onto_ball_and_box(norm: Norm, eps: float) -> None:
    clean, image = images()
    assert torch.allclose(nearest(image, clean, norm, eps).double(), bisected(image, clean, norm, eps), atol=2e-6)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_nearest_stays_in_ball_and_box_and_leaves_what_is_inside(norm: Norm) -> None:
    clean, image = images()
    eps = {"linf": 0.1, "l2": 1.0, "l1": 5.0}[norm]
    inside = nearest(image, clean, norm, eps)
    assert 0 <= float(inside.min()) <= float(inside.max()) <= 1
    assert float(distance(inside - clean, norm).max()) <= eps * (1 + 1e-5)
    assert torch.allclose(nearest(inside, clean, norm, eps), inside, atol=1e-6)


def test_l1_step_solves_the_linear_programme_over_ball_and_box() -> None:
    from scipy.optimize import linprog

    generator = torch.Generator().manual_seed(1)
    image, gradient = torch.rand(6, 1, 4, 4, generator=generator), torch.randn(6, 1, 4, 4, generator=generator)
    step = steepest(gradient, image, "l1", 2.0)
    for x, g, own in zip(image.flatten(1).numpy(), gradient.flatten(1).numpy(), step.flatten(1).numpy(), strict=True):
        both = linprog(np.r_[g, -g], np.ones((1, 32)), [2.0], bounds=[(0, up) for up in np.r_[1 - x, x]])
        assert float(g @ own) == pytest.approx(both.fun, rel=1e-5)


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_steps_have_the_asked_length_and_do_not_push_against_the_box(norm: Norm) -> None:
    clean, _ = images()
    gradient = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    step = steepest(gradient, clean, norm, 0.5, share=7)
    assert torch.allclose(distance(step, norm), torch.full((len(clean),), 0.5), atol=1e-5)
    assert not bool(((clean == 0) & (step < 0) | (clean == 1) & (step > 0)).any())


def test_a_gradient_too_faint_to_square_still_gives_a_full_step() -> None:
    image = torch.full((1, 1, 4, 4), 0.5)
    gradient = 1e-28 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    assert float(distance(steepest(gradient, image, "l2", 0.3), "l2")) == pytest.approx(0.3, rel=1e-5)


@pytest.mark.parametrize(("norm", "expected"), [("linf", 1 / 2), ("l2", None), ("l1", None)])
def test_random_images_are_uniform_in_the_ball(norm: Norm, expected: float | None) -> None:
    """In D dimensions the radius of a uniform point has mean D / (D + 1), linf being a product instead."""
    batch = Batch(torch.full((4000, 1, 2, 2), 0.5), torch.zeros(4000, dtype=torch.long), torch.arange(4000))
    delta = random_image(batch, Threat(norm, 0.25), 3) - batch.x
    if expected is not None:
        assert float(delta.abs().mean()) == pytest.approx(0.25 * expected, rel=0.03)
    assert float(distance(delta, norm).mean()) == pytest.approx(0.25 * 4 / 5, rel=0.03)
    assert torch.allclose(delta.mean(0), torch.zeros(1, 2, 2), atol=0.01)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 1), ("l1", 4)])
def test_without_a_box_only_the_ball_counts(norm: Norm, eps: float) -> None:
    box = Threat(norm, eps, units="normalised").box
    clean, image = images()
    clean, image = 5 * clean - 2, 5 * image - 2
    found = nearest(image, clean, norm, eps, box)
    assert torch.allclose(found, clean + project(image - clean, norm, eps), atol=1e-5)
    gradient = torch.randn(clean.shape, generator=torch.Generator().manual_seed(4))
    step = steepest(gradient, clean, norm, eps, box=box)
    assert torch.allclose(distance(step, norm), torch.tensor(float(eps)), rtol=1e-4)
    assert bool((step * gradient <= 0).all())
