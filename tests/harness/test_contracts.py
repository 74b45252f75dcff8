"""Draws belong to samples, projections are exact, and a code scheme is a classifier."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from tiltyard import Batch, Category, LabelScheme, Split, distance, margin, project


def _batch(count: int = 32, **more) -> Batch:
    return Batch(torch.zeros(count, 3, 8, 8), torch.zeros(count, dtype=torch.long), torch.arange(count), **more)


def test_draws_are_uniform_and_normal() -> None:
    batch = _batch(64)
    assert stats.kstest(batch.uniform().flatten().numpy(), "uniform").pvalue > 0.01
    assert stats.kstest(batch.normal().flatten().numpy(), "norm").pvalue > 0.01
    assert batch.uniform(-2, 3).min() >= -2


def test_draws_stay_with_their_sample_whatever_the_batch() -> None:
    batch = _batch()
    whole = batch.uniform(draw=3)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(batch[order].uniform(draw=3), whole[order])
    assert torch.equal(batch[order < 5].uniform(draw=3), whole[order < 5])
    assert torch.equal(batch.normal(values=7)[4], batch[torch.tensor([4])].normal(values=7)[0])


def test_draws_differ_between_seeds_keys_numbers_and_samples() -> None:
    batch = _batch()
    first = batch.uniform()
    others = [_batch(seed=1).uniform(), _batch(key="x").uniform(), batch.uniform(draw=1), first.roll(1, 0)]
    for other in others:
        correlation = torch.corrcoef(torch.stack([first.flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 0.05


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_a_projection_is_inside_the_ball_and_nearest(norm) -> None:
    generator = torch.Generator().manual_seed(0)
    delta = torch.randn(16, 2, 3, 3, generator=generator)
    radius = {"linf": 0.5, "l2": 1.0, "l1": 3.0, "l0": 4.0}[norm]
    inside = project(delta, norm, radius)
    assert (distance(inside, norm) <= radius * 1.00001).all()
    assert torch.equal(project(inside, norm, radius + 1e-4), inside)
    nearest = (inside - delta).flatten(1).norm(dim=1)
    for _ in range(50):
        other = project(torch.randn(16, 2, 3, 3, generator=generator), norm, radius)
        assert (nearest <= (other - delta).flatten(1).norm(dim=1) + 1e-5).all()
    each = torch.linspace(0.1, 1, 16)
    if norm != "l0":
        assert (distance(project(delta, norm, each), norm) <= each * 1.00001).all()


def test_margins_tell_who_wins() -> None:
    scores = torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, 4.0]])
    y = torch.tensor([0, 0])
    assert margin(scores, y).tolist() == [2.0, -4.0]
    assert margin(scores, y, torch.tensor([1, 2])).tolist() == [2.0, -3.0]


def test_the_nearest_code_has_the_highest_score_before_and_after_calibration() -> None:
    generator = torch.Generator().manual_seed(0)
    scheme = LabelScheme(torch.randn(5, 4, 4, generator=generator) * 30)
    output = torch.randn(200, 4, 4, generator=generator) * 30
    nearest = (output.unsqueeze(1) - scheme.codes).square().flatten(2).sum(2).argmin(1)
    assert torch.equal(scheme.scores(output).argmax(1), nearest)
    scheme.calibrate(output)
    scores = scheme.scores(output)
    assert torch.equal(scores.argmax(1), nearest)
    best = scores.topk(2).values
    assert float((best[:, 0] - best[:, 1]).median()) == pytest.approx(5, rel=1e-3)


def test_category_is_cross_entropy_on_the_logits() -> None:
    scheme = Category(3, smoothing=0.1)
    logits, y = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    expected = torch.nn.functional.cross_entropy(logits, y, reduction="none", label_smoothing=0.1)
    assert torch.equal(scheme.loss(logits, y), expected)
    assert scheme.scores(logits) is logits


def test_a_split_refuses_what_is_not_an_image() -> None:
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="uint8 or float32"):
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.float64), labels)
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        Split(torch.full((2, 1, 4, 4), 255.0), labels)
    with pytest.raises(ValueError, match="int64"):
        Split(torch.zeros(2, 1, 4, 4), labels.int())
