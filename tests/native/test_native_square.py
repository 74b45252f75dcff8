"""Square: what it breaks, what it does not ask for, and how its moves look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Outputs, Threat, Victim, distance
from tiltyard.testing import check_attack
from tiltyard_native.attacks import PGD, Square
from tiltyard_native.attacks.random_search import falling
from tiltyard_native.attacks.square_moves import blocks, moved, repainted, stripes

NORMS: list[Norm] = ["linf", "l2", "l1"]
DISTANCE: dict[Norm, float] = {"linf": 0.03, "l2": 0.25, "l1": 0.15}


def share_broken(victim: Any, norm: Norm, factor: float, queries: int, targeted: bool = False) -> float:
    batch = victim.batch(8, norm, DISTANCE[norm], targeted)
    threat = Threat(norm, factor * DISTANCE[norm])
    image = Square(queries=queries)(Victim(victim.classifier, batch), batch, threat)
    assert float(distance(image - batch.x, norm).max()) <= threat.eps * (1 + 1e-5)
    return float((batch.margin(victim.classifier(image)) < 0).float().mean())


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_under_linf_it_needs_no_more_than_five_per_cent_above_the_optimum(
    linear: Callable[[int], Any], classes: int, targeted: bool
) -> None:
    assert share_broken(linear(classes), "linf", 1.05, 800, targeted) == 1
    assert share_broken(linear(classes), "linf", 0.98, 100, targeted) == 0


@pytest.mark.parametrize(("norm", "factor"), [("l2", 2.0), ("l1", 4.0)])
def test_bumps_find_their_way_on_a_victim_that_has_no_smooth_direction(
    linear: Callable[[int], Any], norm: Norm, factor: float
) -> None:
    """Windows suit images; the weights here are noise, where a lone value or a direction would be best."""
    assert share_broken(linear(3), norm, factor, 800) == 1
    assert share_broken(linear(3), norm, 0.98, 100) == 0


class Stepped(Classifier):
    """A classifier whose scores are rounded, with no gradient at all, scaled and shifted."""

    def __init__(self, of: Classifier, scale: float = 1, shift: float = 0) -> None:
        super().__init__(of.network, of.scheme)
        self.scale, self.shift = scale, shift

    def outputs(self, x: Tensor) -> Outputs:
        rounded = (super().outputs(x).scores * 8).round() / 8
        return Outputs(self.scale * rounded.detach() + self.shift + 0 * x.sum())


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_a_hidden_gradient_stops_pgd_and_not_square(linear: Callable[[int], Any], scale: float) -> None:
    plain = linear(3)
    batch = plain.batch(8, "linf", 0.03, False)
    victim = Stepped(plain.classifier, scale)
    threat = Threat("linf", 0.04)
    pgd, square = (attack(Victim(victim, batch), batch, threat) for attack in (PGD(), Square(queries=500)))
    assert float((batch.margin(victim(pgd)) < 0).float().mean()) <= 0.25
    assert bool((batch.margin(victim(square)) < 0).all())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_a_shift_of_the_scores_changes_nothing(linear: Callable[[int], Any], norm: Norm, shift: float) -> None:
    plain = linear(3)
    batch, threat = plain.batch(4, norm, DISTANCE[norm], False), Threat(norm, 1.5 * DISTANCE[norm])
    images = [
        Square(queries=40)(Victim(victim, batch), batch, threat)
        for victim in (Stepped(plain.classifier), Stepped(plain.classifier, shift=shift))
    ]
    assert torch.equal(*images)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 7), (2, 9, 2), (1, 5, 3), (3, 33, 20)])
def test_images_of_every_size(norm: Norm, shape: tuple[int, int, int]) -> None:
    size = shape[0] * shape[1] * shape[2]
    victim = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(size, 3)), Category(3)).eval().requires_grad_(False)
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, victim(x).argmax(1), torch.arange(4))
    image = Square(queries=30)(Victim(victim, batch), batch, Threat(norm, 0.1))
    assert float(distance(image - x, norm).max()) <= 0.1 * (1 + 1e-5)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


@pytest.mark.parametrize("norm", NORMS)
def test_eps_zero_returns_the_clean_images(linear: Callable[[int], Any], norm: Norm) -> None:
    victim = linear(2)
    batch = victim.batch(3, norm, DISTANCE[norm], False)
    assert torch.equal(Square(queries=10)(Victim(victim.classifier, batch), batch, Threat(norm, 0.0)), batch.x)


def test_a_query_is_a_forward_and_a_broken_sample_asks_no_more(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(6, "linf", 0.03, False)
    near, far = Victim(victim.classifier, batch), Victim(victim.classifier, batch)
    Square(queries=60, restarts=2)(far, batch, Threat("linf", 0.01))
    assert far.forwards.tolist() == [120] * 6
    assert far.backwards.tolist() == [0] * 6
    Square(queries=60, restarts=2)(near, batch, Threat("linf", 0.3))
    assert int(near.forwards.max()) < 60
    wrong = Batch(batch.x, (batch.y + 1) % 3, batch.ids)
    seen = Victim(victim.classifier, wrong)
    Square()(seen, wrong, Threat("linf", 1e-4))
    assert seen.forwards.tolist() == [1] * 6


class Guarded(Classifier):
    """A classifier with a detector of bright images."""

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(super().outputs(x).scores, 20 * (x.flatten(1).mean(1) - 0.5) - 0.3)


def test_a_detector_is_evaded_together_with_the_classifier(linear: Callable[[int], Any]) -> None:
    plain = linear(3)
    victim = Guarded(plain.classifier.network, plain.classifier.scheme)
    batch = plain.batch(8, "linf", 0.03, False)
    image = Square(queries=800)(Victim(victim, batch), batch, Threat("linf", 0.05))
    scores, rejection = victim.outputs(image)
    assert rejection is not None
    assert bool(((batch.margin(scores) < 0) & (rejection < 0)).all())


def digits_like() -> Batch:
    x = torch.rand(50, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.zeros(50, dtype=torch.long), torch.arange(50))


def test_a_move_under_linf_paints_one_window_and_always_changes_it() -> None:
    batch = digits_like()
    threat = Threat("linf", 0.01)
    start = stripes(batch, threat, 0)
    after = repainted(batch, start, threat, 0.05, 1)
    changed = (after != start).flatten(1).any(1)
    assert bool(changed.all())
    for image in (after != start).any(1):
        rows, columns = image.any(1).nonzero().flatten(), image.any(0).nonzero().flatten()
        assert int(rows.max() - rows.min()) < round((0.05 * 400) ** 0.5)
        assert int(columns.max() - columns.min()) < round((0.05 * 400) ** 0.5)
    edges = torch.minimum(((after - batch.x).abs() - 0.01).abs(), torch.minimum(after, 1 - after))
    assert float(edges.max()) < 1e-6  # at eps, or at the edge of the box


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_moves_spend_all_of_eps(norm: Norm) -> None:
    batch = digits_like()
    threat = Threat(norm, 2.0)
    image = blocks(batch, threat, 0)
    for query, share in enumerate((0.8, 0.2, 0.01)):
        image = moved(batch, image, threat, share, query + 1)
        length = distance(image - batch.x, norm)
        assert 1.97 <= float(length.min()) <= float(length.max()) <= 2 * (1 + 1e-5)


def test_windows_reach_every_value() -> None:
    batch = digits_like()
    threat = Threat("linf", 0.01)
    touched = torch.zeros(20, 20, dtype=torch.bool)
    for query in range(60):
        touched |= (repainted(batch, batch.x, threat, 1 / 400, query) != batch.x).flatten(0, 1).any(0)
    assert bool(touched.all())


def test_the_share_is_halved_at_the_same_part_of_every_budget() -> None:
    assert [falling(0.8, query, 10_000) for query in (1, 11, 12, 501, 502, 10_000)] == pytest.approx(
        [0.8, 0.8, 0.4, 0.1, 0.05, 0.8 / 512]
    )
    assert falling(0.8, 51, 1000) == falling(0.8, 501, 10_000)


def test_conformance_and_wrong_keys() -> None:
    check_attack(Square(queries=100))
    with pytest.raises(ValueError, match="p_init"):
        Square(p_init=0.0)
    victim = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), Category(2)).eval()
    batch = Batch(torch.rand(1, 1, 2, 2), torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(ValueError, match="finite eps"):
        Square()(Victim(victim, batch), batch, Threat("linf"))
