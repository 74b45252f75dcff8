"""FAB: its projection against convex programmes, its distances against closed forms, and its ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Outputs, Threat, Victim, distance
from tiltyard.testing import check_attack
from tiltyard_native.attacks import FAB
from tiltyard_native.attacks.fab_planes import onto

NORMS: list[Norm] = ["linf", "l2", "l1"]


def least(clean: Tensor, gap: float, slope: Tensor, norm: Norm) -> float:
    """Least norm of a change with gap + <slope, change> = 0 in the box, by a convex programme."""
    import numpy as np
    from scipy.optimize import linprog, minimize

    w, low, high = slope.double().numpy(), -clean.double().numpy(), (1 - clean).double().numpy()
    size = len(w)
    if norm == "l2":
        held = {"type": "eq", "fun": lambda d: w @ d + gap, "jac": lambda d: w}
        bounds = list(zip(low, high, strict=True))
        start = np.zeros(size)
        found = minimize(lambda d: d @ d, start, jac=lambda d: 2 * d, bounds=bounds, constraints=[held], tol=1e-14)
        return float(found.fun**0.5)
    one = np.eye(size)
    spread = one if norm == "l1" else np.ones((size, 1))
    above = np.block([[one, -spread], [-one, -spread]])
    extra = spread.shape[1]
    cost = np.r_[np.zeros(size), np.ones(extra)]
    bounds = [*zip(low, high, strict=True), *[(0, None)] * extra]
    equal = np.r_[w, np.zeros(extra)][None]
    return float(linprog(cost, above, np.zeros(2 * size), equal, [-gap], bounds=bounds).fun)


@pytest.mark.parametrize("norm", NORMS)
def test_the_projection_onto_a_plane_in_the_box_is_the_shortest(norm: Norm) -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(20, 1, 3, 4, generator=generator).mul(1.4).sub(0.2).clamp(0, 1)  # some at 0, some at 1
    slope = torch.randn(clean.shape, generator=generator)
    gap = torch.linspace(-2, 2, 20)
    change = onto(clean, gap, slope, norm)
    assert torch.allclose((slope * change).flatten(1).sum(1), -gap, atol=1e-5)
    assert float((clean + change).min()) >= -1e-6
    assert float((clean + change).max()) <= 1 + 1e-6
    expected = [
        least(clean[i].flatten(), float(gap[i]), slope[i].flatten(), norm) if float(gap[i]) else 0.0 for i in range(20)
    ]
    assert torch.allclose(distance(change, norm), torch.tensor(expected), atol=2e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_a_plane_out_of_reach_leads_to_the_nearest_corner_and_no_plane_nowhere(norm: Norm) -> None:
    clean, slope = torch.full((2, 1, 1, 3), 0.25), torch.tensor([1.0, -2.0, 0.5]).view(1, 1, 1, 3).repeat(2, 1, 1, 1)
    slope[1] = 0
    change = onto(clean, torch.tensor([100.0, 1.0]), slope, norm)
    assert torch.allclose(change[0].flatten(), torch.tensor([-0.25, 0.75, -0.25]))
    assert not bool(change[1].any())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targets", [0, 9])
@pytest.mark.parametrize(("classes", "targeted"), [(2, False), (2, True), (3, True), (4, False)])
def test_it_comes_within_two_per_cent_of_the_optimum(
    linear: Callable[[int], Any], norm: Norm, targets: int, classes: int, targeted: bool
) -> None:
    victim = linear(classes)
    optimum = {"linf": 0.03, "l2": 0.25, "l1": 0.15}[norm]
    batch = victim.batch(8, norm, optimum, targeted, lean=0)
    image = FAB(steps=20, targets=targets)(Victim(victim.classifier, batch), batch, Threat(norm))
    assert bool((batch.margin(victim.classifier(image)) < 0).all())
    ratio = distance(image - batch.x, norm) / optimum
    assert 1 - 1e-4 <= float(ratio.min()) <= float(ratio.max()) <= 1.02


class Scaled(Classifier):
    """Scores of another classifier, scaled and shifted; ``cut`` takes their gradient away."""

    def __init__(self, of: Classifier, scale: float = 1, shift: float = 0, cut: bool = False) -> None:
        super().__init__(of.network, of.scheme)
        self.scale, self.shift, self.cut = scale, shift, cut

    def outputs(self, x: Tensor) -> Outputs:
        scores = self.scale * super().outputs(x).scores + self.shift
        return Outputs(scores.detach() + 0 * x.sum() if self.cut else scores)


@pytest.mark.parametrize("change", [{"scale": 1e-3}, {"scale": 1e3}, {"shift": 100.0}, {"shift": -100.0}])
@pytest.mark.parametrize("targets", [0, 2])
def test_scale_and_shift_of_the_scores_change_nothing(
    linear: Callable[[int], Any], change: dict[str, float], targets: int
) -> None:
    victim = linear(3)
    batch = victim.batch(8, "l2", 0.25, False)
    other = Scaled(victim.classifier, **change)  # type: ignore[arg-type]
    image = FAB(steps=20, targets=targets)(Victim(other, batch), batch, Threat("l2"))
    assert float(distance(image - batch.x, "l2").max()) <= 1.02 * 0.25
    assert bool((batch.margin(other(image)) < 0).all())


@pytest.mark.parametrize("norm", NORMS)
def test_without_a_gradient_the_image_stays_clean(linear: Callable[[int], Any], norm: Norm) -> None:
    victim = linear(3)
    batch = victim.batch(4, norm, 0.03, False)
    for targets in (0, 2):
        image = FAB(steps=3, targets=targets)(Victim(Scaled(victim.classifier, cut=True), batch), batch, Threat(norm))
        assert torch.equal(image, batch.x)


def test_values_at_the_edge_of_the_box_move() -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]]))
        layer.bias.zero_()
    victim = Classifier(nn.Sequential(nn.Flatten(), layer), Category(2)).eval().requires_grad_(False)
    batch = Batch(torch.tensor([1.0, 0.0, 1.0, 0.0]).view(1, 1, 2, 2), torch.tensor([0]), torch.tensor([0]))
    for norm, optimum in (("linf", 0.5), ("l2", 1.0), ("l1", 2.0)):
        image = FAB(steps=10)(Victim(victim, batch), batch, Threat(norm))  # type: ignore[arg-type]
        assert bool((batch.margin(victim(image)) < 0).all())
        assert float(distance(image - batch.x, norm)) == pytest.approx(optimum, rel=0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("targets", [0, 2])
def test_a_finite_eps_ends_a_sample_as_soon_as_it_is_near_enough(linear: Callable[[int], Any], targets: int) -> None:
    victim = linear(3)
    batch = victim.batch(8, "l2", 0.25, False)
    seen = Victim(victim.classifier, batch)
    image = FAB(targets=targets)(seen, batch, Threat("l2", 0.3))
    assert float(distance(image - batch.x, "l2").max()) <= 0.3
    assert bool((batch.margin(victim.classifier(image)) < 0).all())
    assert int(seen.forwards.max()) < 20
    image = FAB(steps=10, targets=targets)(Victim(victim.classifier, batch), batch, Threat("l2", 0.2))
    assert torch.equal(image, batch.x)  # nothing is inside


def test_samples_that_are_wrong_already_stay_as_they_are_and_leave_at_once(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(6, "l2", 0.25, False)
    wrong = Batch(batch.x, (batch.y + 1) % 3, batch.ids)
    seen = Victim(victim.classifier, wrong)
    assert torch.equal(FAB()(seen, wrong, Threat("l2")), batch.x)
    assert int(seen.forwards.max()) <= 2


class Guarded(Classifier):
    """A linear classifier with a detector that rejects images brighter than they may be."""

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(super().outputs(x).scores, 20 * (x.flatten(1).mean(1) - 0.5))


@pytest.mark.parametrize("targets", [0, 2])
def test_a_detector_is_evaded_together_with_the_classifier(linear: Callable[[int], Any], targets: int) -> None:
    plain = linear(3)
    victim = Guarded(plain.classifier.network, plain.classifier.scheme)
    batch = plain.batch(8, "l2", 0.25, False)
    image = FAB(steps=60, targets=targets)(Victim(victim, batch), batch, Threat("l2"))
    scores, rejection = victim.outputs(image)
    assert rejection is not None
    assert bool((batch.margin(scores) < 0).all())
    assert bool((rejection < 0).all())


@pytest.mark.parametrize("norm", NORMS)
def test_restarts_never_lengthen_and_obey_the_box(linear: Callable[[int], Any], norm: Norm) -> None:
    victim = linear(4)
    batch = victim.batch(4, norm, 0.03, False)
    once, thrice = (FAB(steps=4, restarts=n)(Victim(victim.classifier, batch), batch, Threat(norm)) for n in (1, 3))
    assert bool((distance(thrice - batch.x, norm) <= distance(once - batch.x, norm) + 1e-6).all())
    assert 0 <= float(thrice.min()) <= float(thrice.max()) <= 1


def test_conformance_and_wrong_keys() -> None:
    check_attack(FAB(steps=8))
    for keys in ({"alpha_max": 2.0}, {"eta": 0.9}, {"beta": 1.0}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            FAB(**keys)  # type: ignore[arg-type]
