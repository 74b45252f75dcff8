"""Sparse-RS against the closed-form optimum of linear victims, and its bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Threat, Victim, distance
from tiltyard.testing import check_attack, linear_victim
from tiltyard_native.attacks import SparseRS


def fewest(victim: Any, batch: Batch) -> Tensor:
    """Least number of values (N,) that break a linear victim: those of largest gain first, for each other class."""
    weight, classes = 1.5 * victim.weight, len(victim.weight)
    found = []
    for x, y in zip(batch.x.flatten(1).double(), batch.y.tolist(), strict=True):
        counts = []
        for other in set(range(classes)) - {y}:
            slope = weight[y] - weight[other]
            gain = slope.abs() * torch.where(slope > 0, x, 1 - x)
            gap = float(slope @ (x - 0.5))
            counts.append(int((gain.sort(descending=True).values.cumsum(0) <= gap).sum()) + 1)
        found.append(min(counts))
    return torch.tensor(found)


def hard_batch(victim: Any, count: int = 4) -> Batch:
    """Images that need several values."""
    return victim.batch(count, "l2", 0.3, False)  # type: ignore[no-any-return]


@pytest.mark.parametrize("classes", [2, 3])
def test_it_breaks_at_the_fewest_values_and_never_below(linear: Callable[[int], Any], classes: int) -> None:
    victim = linear(classes)
    batch = hard_batch(victim)
    counts = fewest(victim, batch)
    assert int(counts.min()) >= 2
    for row, count in enumerate(counts.tolist()):
        one = batch[torch.tensor([row])]
        for eps, breaks in ((count - 1, False), (count, True)):
            image = SparseRS(queries=600)(Victim(victim.classifier, one), one, Threat("l0", eps))
            assert float(distance(image - one.x, "l0")) <= eps
            assert bool(one.margin(victim.classifier(image)) < 0) is breaks


def test_it_obeys_the_target(linear: Callable[[int], Any]) -> None:
    victim = linear(4)
    batch = victim.batch(8, "l2", 0.25, True)
    image = SparseRS(queries=300)(Victim(victim.classifier, batch), batch, Threat("l0", 12, "targeted"))
    assert bool((victim.classifier(image).argmax(1) == batch.target).all())


@pytest.mark.parametrize("eps", [0.0, 1.0, 7.0, 63.0, 64.0, 1000.0])
def test_no_more_values_change_than_may_and_those_become_black_or_white(eps: float) -> None:
    victim = linear_victim(5, (1, 8, 8))
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)).mul(1.4).sub(0.2).clamp(0, 1)
    batch = Batch(x, victim(x).argmax(1), torch.arange(6))
    seen = Victim(victim, batch)
    image = SparseRS(queries=30)(seen, batch, Threat("l0", eps))
    changed = image != x
    assert int(changed.flatten(1).sum(1).max()) <= eps
    assert bool(((image == 0) | (image == 1))[changed].all())
    assert int(seen.forwards.sum()) <= 6 * 30  # so far from the clean images a query may be counted for another sample


def test_every_query_changes_something_until_the_sample_is_broken(linear: Callable[[int], Any]) -> None:
    """On a black image white is the only other value: a set of eps values is always eps values away."""
    seen: list[Tensor] = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    victim = Classifier(network, Category(2)).eval().requires_grad_(False)
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([1.0, 0.0]))
    network.register_forward_hook(lambda module, given, out: seen.append(given[0].clone()))
    batch = Batch(torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.long), torch.arange(3))
    SparseRS(queries=40)(Victim(victim, batch), batch, Threat("l0", 5))
    images = torch.stack(seen)
    assert bool((images.flatten(2).sum(2) == 5).all())
    assert bool((images[1:] != images[:-1]).flatten(2).any(2).all())


def test_conformance_and_wrong_keys() -> None:
    check_attack(SparseRS(queries=30))
    with pytest.raises(ValueError, match="alpha_init"):
        SparseRS(alpha_init=1.5)
    victim = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Category(2)).eval()
    batch = Batch(torch.rand(1, 1, 2, 2), torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(ValueError, match="finite eps"):
        SparseRS()(Victim(victim, batch), batch, Threat("l0"))
