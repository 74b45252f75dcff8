"""Auto-PGD, untargeted and towards classes: linear optima, awkward scores, and the authors' own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Outputs, Threat, Victim, distance
from tiltyard.testing import check_attack
from tiltyard_native.attacks import APGD, APGDTargeted, MultiTargeted
from tiltyard_native.attacks.apgd_search import _windows
from tiltyard_native.attacks.region import even_step

NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
DISTANCE: dict[Norm, float] = {"linf": 0.03, "l2": 0.25, "l1": 0.15}
SLACK: dict[Norm, float] = {"linf": 1.02, "l2": 1.02, "l1": 1.1}


def share_broken(
    attack: Any, victim: Any, norm: Norm, factor: float, size: int, targeted: bool, lean: float = 10
) -> float:
    """Share of samples of a linear victim that are broken at ``factor`` times their optimum."""
    batch = victim.batch(size, norm, DISTANCE[norm], targeted, lean)
    threat = Threat(norm, factor * DISTANCE[norm], "targeted" if targeted else "untargeted")
    image = attack(Victim(victim.classifier, batch), batch, threat)
    assert float(distance(image - batch.x, norm).max()) <= threat.eps * (1 + 1e-5)
    return float((batch.margin(victim.classifier(image)) < 0).float().mean())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_apgd_breaks_all_just_above_the_optimum_and_none_below(
    linear: Callable[[int], Any], norm: Norm, size: int, targeted: bool, classes: int
) -> None:
    victim = linear(classes)
    assert share_broken(APGD(), victim, norm, SLACK[norm], size, targeted) == 1
    assert share_broken(APGD(), victim, norm, 0.98, size, targeted) == 0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_the_papers_losses_reach_the_nearest_class(linear: Callable[[int], Any], norm: Norm, loss: Any) -> None:
    assert share_broken(APGD(loss=loss), linear(4), norm, SLACK[norm] + 0.03, 16, False) == 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("loss", ["dlr", "margin"])
def test_apgd_targeted_finds_the_nearest_class_among_near_ones(
    linear: Callable[[int], Any], norm: Norm, classes: int, loss: Any
) -> None:
    victim = linear(classes)
    assert share_broken(APGDTargeted(loss=loss), victim, norm, SLACK[norm], 16, False, lean=0) == 1
    assert share_broken(APGDTargeted(loss=loss), victim, norm, 0.98, 16, False, lean=0) == 0


def test_the_step_may_shrink_where_the_paper_has_its_checkpoints() -> None:
    assert list(_windows(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(_windows(100).values()) == [22, 19, 16, 13, 10, 7, 6, 6]
    for steps in range(1, 40):
        assert sum(_windows(steps).values()) < steps


def test_an_even_step_moves_the_steepest_values_that_the_box_lets_go() -> None:
    image = torch.tensor([[0.0, 0.5, 1.0, 0.5, 0.5]]).view(1, 1, 1, 5)
    gradient = torch.tensor([[9.0, -3.0, -8.0, 2.0, 1.0]]).view(1, 1, 1, 5)
    step = even_step(gradient, image, torch.tensor([0.6]), torch.tensor([2.0]))
    assert torch.allclose(step.flatten(), torch.tensor([0.0, 0.3, 0.0, -0.3, 0.0]))
    assert bool((even_step(0 * gradient, image, torch.tensor([0.6]), torch.tensor([2.0])) == 0).all())


@pytest.mark.parametrize("attack", [APGD(steps=20), APGDTargeted(steps=20), MultiTargeted(steps=20)])
def test_conformance(attack: Any) -> None:
    check_attack(attack)


class Bent(Classifier):
    """A small convolutional classifier with scores a x + b of the plain ones."""

    def __init__(self, classes: int = 5, scale: float = 1.0, shift: float = 0.0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 36, classes)]
        super().__init__(nn.Sequential(*layers), Category(classes))
        self.eval().requires_grad_(False)
        self.factor, self.shift = 8 * scale, shift

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(self.factor * super().outputs(x).scores + self.shift)


def samples(victim: Classifier, binary: bool = False) -> Batch:
    """Images that the victim gets right."""
    x = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    x = x.round() if binary else x
    return Batch(x, victim(x).argmax(1), torch.arange(24), key="bent")


def broken(attack: Any, victim: Classifier, batch: Batch, norm: Norm, eps: float) -> Tensor:
    """Which samples (N,) fall, the images being finite and inside box and ball."""
    image = attack(Victim(victim, batch), batch, Threat(norm, eps))
    assert bool(image.isfinite().all())
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert float(distance(image - batch.x, norm).max()) <= eps * (1 + 1e-5)
    return batch.margin(victim(image)) < 0


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [APGD(steps=30), APGD(steps=30, loss="dlr"), APGDTargeted(steps=20)])
def test_scale_and_shift_of_the_scores_do_not_matter(attack: Any, norm: Norm) -> None:
    eps = {"linf": 0.05, "l2": 0.5, "l1": 3.0}[norm]
    plain = broken(attack, Bent(), samples(Bent()), norm, eps)
    assert int(plain.sum()) > 0
    for scale, shift in ((1e-3, 0.0), (1e3, 0.0), (1.0, 100.0), (1.0, -100.0)):
        again = broken(attack, Bent(scale=scale, shift=shift), samples(Bent()), norm, eps)
        assert int((again != plain).sum()) <= 1  # rounding may decide one


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [APGD(steps=30), APGDTargeted(steps=20)])
def test_black_and_white_images_fall(attack: Any, norm: Norm) -> None:
    victim = Bent()
    eps = {"linf": 0.2, "l2": 1.5, "l1": 8.0}[norm]
    assert float(broken(attack, victim, samples(victim, binary=True), norm, eps).float().mean()) > 0.5


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [APGD(steps=1), APGD(steps=9), APGD(steps=20, loss="dlr"), APGDTargeted(steps=9)])
def test_no_gradient_no_class_no_budget_and_no_hope_are_no_trouble(attack: Any, norm: Norm) -> None:
    victim = Bent()
    assert not bool(broken(attack, Bent(scale=0.0), samples(victim), norm, 0.1).any())
    for classes in (2, 3):
        few = Bent(classes)
        assert broken(attack, few, samples(few), norm, 0.1).shape == (24,)
    assert not bool(broken(attack, victim, samples(victim), norm, 0.0).any())
    batch = samples(victim)
    wrong = Batch(batch.x, (batch.y + 1) % 5, batch.ids, key="wrong")
    assert bool(broken(attack, victim, wrong, norm, 0.0).all())


@pytest.mark.parametrize(("norm", "name", "eps"), [("linf", "Linf", 0.1), ("l2", "L2", 1.4), ("l1", "L1", 7.0)])
def test_apgd_breaks_what_the_authors_code_breaks(
    published: Callable[[slice, str], tuple[Classifier, Batch]], norm: Norm, name: str, eps: float
) -> None:
    base = pytest.importorskip("pyautoattack.autopgd_base")
    network, batch = published(slice(5000, 5024), "published")
    theirs = base.APGDAttack(network, n_iter=100, norm=name, eps=eps, use_largereps=norm == "l1", device="cpu")
    with torch.random.fork_rng(devices=[]):
        image = theirs.perturb(batch.x, batch.y)
    reference = batch.margin(network(image)) < 0
    ours = broken(APGD(loss="ce"), network, batch, norm, eps)
    assert 0.2 < float(reference.float().mean()) < 0.8
    assert int(ours.sum()) >= int(reference.sum()) - 1
