"""Attacks of studies against straight-line forms of what their code does, image by image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, LabelScheme, Threat, Victim, distance
from tiltyard.testing import check_attack
from tiltyard_studies import attacks

CLASSES, COUNT = 4, 6
CLAMPED = {"steps": 4, "step_size": 2 / 255}
ATTACKS = attacks()


def _codes(*shape: int, shift: float = 0.0) -> LabelScheme:
    return LabelScheme(80 * torch.rand(CLASSES, *shape, generator=torch.Generator().manual_seed(3)) - shift)


SCHEMES: dict[str, Callable[[], LabelScheme]] = {
    "category": lambda: Category(CLASSES),
    "vector": lambda: _codes(10),
    "image": lambda: _codes(6, 6),
    "negative image": lambda: _codes(6, 6, shift=80.0),
}


@pytest.fixture(params=SCHEMES)
def victim(request: pytest.FixtureRequest) -> Classifier:
    """A small convolutional network of normalised images, before any kind of label."""
    scheme = SCHEMES[request.param]()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), scheme.head(8 * 64)
        )
    return Classifier(network, scheme).eval().requires_grad_(False)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(2)
    x = 1.5 * torch.randn(COUNT, 3, 8, 8, generator=generator)
    y = torch.arange(COUNT) % CLASSES
    return Batch(x, y, torch.arange(COUNT) + 7, target=None, seed=5, key="studies")


def _study_loss(classifier: Classifier, image: Tensor, label: int) -> Tensor:
    """What the studies' scripts compute for a batch of one."""
    output, wanted = classifier.network(image), torch.tensor([label])
    if isinstance(classifier.scheme, Category):
        return F.cross_entropy(output, wanted)
    return F.smooth_l1_loss(output, classifier.scheme.codes[wanted])


def _each(batch: Batch, one: Callable[[Tensor, int, int | None, int], Tensor]) -> Tensor:
    targets = [None] * len(batch) if batch.target is None else batch.target.tolist()
    rows = zip(batch.y.tolist(), targets, strict=True)
    return torch.cat([one(batch.x[n : n + 1], y, t, n) for n, (y, t) in enumerate(rows)])


def _found(attack: Any, classifier: Classifier, batch: Batch, norm: str, eps: float, chunk: int = 4) -> Tensor:
    threat = Threat(norm, eps, "untargeted" if batch.target is None else "targeted", units="normalised")  # type: ignore[arg-type]
    return attack(Victim(classifier, batch, chunk), batch, threat).detach()


def _aimed(batch: Batch, targeted: bool) -> Batch:
    return Batch(batch.x, batch.y, batch.ids, (batch.y + 1) % CLASSES if targeted else None, batch.seed, batch.key)


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_is_the_studys(victim: Classifier, batch: Batch, targeted: bool) -> None:
    batch, eps = _aimed(batch, targeted), 0.3

    def study(x: Tensor, y: int, target: int | None, n: int) -> Tensor:
        x = x.clone().requires_grad_()
        _study_loss(victim, x, y if target is None else target).backward()
        assert x.grad is not None
        moved = x + eps * x.grad.sign() if target is None else x - eps * x.grad.sign()
        return torch.clamp(moved, x.min().item(), x.max().item()).detach()

    torch.testing.assert_close(_found(ATTACKS["fgsm"](), victim, batch, "linf", eps), _each(batch, study))


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_iterative_is_the_studys_with_its_gradient_never_set_to_zero(
    victim: Classifier, batch: Batch, targeted: bool, accumulate: bool
) -> None:
    batch, eps = _aimed(batch, targeted), 0.4

    def study(x: Tensor, y: int, target: int | None, n: int) -> Tensor:
        image = x.clone().requires_grad_()
        for _ in range(5):
            if not accumulate:
                image.grad = None
            _study_loss(victim, image, y if target is None else target).backward()
            assert image.grad is not None
            sign = image.grad.sign() if target is None else -image.grad.sign()
            with torch.no_grad():
                image.data = x + (image + eps / 5 * sign - x).clamp(-eps, eps)
        return image.detach()

    found = _found(ATTACKS["iterative"](accumulate=accumulate), victim, batch, "linf", eps)
    torch.testing.assert_close(found, _each(batch, study))
    assert float(distance(found - batch.x, "linf").max()) <= eps * (1 + 1e-5)


def test_accumulating_changes_where_the_search_goes(victim: Classifier, batch: Batch) -> None:
    with_sum, without = (_found(ATTACKS["iterative"](accumulate=a), victim, batch, "linf", 0.4) for a in (True, False))
    assert not torch.equal(with_sum, without)


def test_clamped_pgd_is_the_projects_with_its_three_faults(victim: Classifier, batch: Batch) -> None:
    """torchattacks 3.2.6: ``CrossEntropyLoss()(model(image), label)`` with whatever the label is."""
    eps = 0.2
    start = batch.uniform(-eps, eps)

    def study(x: Tensor, y: int, target: int | None, n: int) -> Tensor:
        category = isinstance(victim.scheme, Category)
        label = torch.tensor([y]) if category else victim.scheme.codes[y].unsqueeze(0)
        image = torch.clamp(x + start[n : n + 1], min=0, max=1)
        for _ in range(CLAMPED["steps"]):
            image.requires_grad = True
            cost = nn.CrossEntropyLoss()(victim.network(image), label)
            (slope,) = torch.autograd.grad(cost, image)
            image = image.detach() + CLAMPED["step_size"] * slope.sign()
            image = torch.clamp(x + torch.clamp(image - x, min=-eps, max=eps), min=0, max=1).detach()
        return image

    found = _found(ATTACKS["clamped_pgd"](), victim, batch, "linf", eps)
    torch.testing.assert_close(found, _each(batch, study))
    assert (distance(found - batch.x, "linf") > 1).all()
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


@pytest.fixture
def logits(batch: Batch) -> Classifier:
    """A network of logits that is right on every image."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, CLASSES))
    return Classifier(network, Category(CLASSES)).eval().requires_grad_(False)


def test_nll_pgd_is_the_projects(logits: Classifier, batch: Batch) -> None:
    eps, steps = 0.05, 30

    def study(x: Tensor, y: int, target: int | None, n: int) -> Tensor:
        image = x.clone()
        for _ in range(steps):
            image = image.detach().requires_grad_()
            (slope,) = torch.autograd.grad(F.nll_loss(logits.network(image), torch.tensor([y])), image)
            image = x + torch.clamp(image + 0.004 * slope.sign() - x, -eps, eps)
        return image.detach()

    found = _found(ATTACKS["nll_pgd"](steps=steps, step_size=0.004), logits, batch, "linf", eps)
    torch.testing.assert_close(found, _each(batch, study))
    before, after = (logits.network(x).gather(1, batch.y.unsqueeze(1)) for x in (batch.x, found))
    assert (after < before).all()


@pytest.mark.parametrize("steps", [2, 3, 40, 41])
def test_ddn_is_the_projects_and_returns_the_last_image_that_it_looked_at(
    logits: Classifier, batch: Batch, steps: int
) -> None:
    batch = Batch(batch.x, logits(batch.x).argmax(1), batch.ids)
    seen: dict[int, list[bool]] = {}

    def study(x: Tensor, y: int, target: int | None, n: int) -> Tensor:
        delta, length, image = torch.zeros_like(x), 0.1, x
        for _ in range(steps):
            image = (x + delta).detach().requires_grad_()
            output = logits.network(image)
            wrong = int(output.argmax()) != y
            seen.setdefault(n, []).append(wrong)
            (slope,) = torch.autograd.grad(F.cross_entropy(output, torch.tensor([y])), image)
            delta = delta + 0.05 * slope / slope.norm()
            length *= 1 - 0.2 if wrong else 1 + 0.2
            delta = torch.renorm(delta, p=2, dim=0, maxnorm=length)
        return image.detach()

    found = _found(ATTACKS["ddn"](steps=steps), logits, batch, "l2", torch.inf)
    torch.testing.assert_close(found, _each(batch, study), atol=1e-5, rtol=1e-5)
    last = (logits(found).argmax(1) != batch.y).tolist()
    assert last == [seen[n][-1] for n in range(COUNT)]


def test_ddn_may_return_an_image_that_is_not_adversarial_although_it_met_one(logits: Classifier, batch: Batch) -> None:
    batch = Batch(batch.x, logits(batch.x).argmax(1), batch.ids)
    ends = [_found(ATTACKS["ddn"](steps=steps), logits, batch, "l2", torch.inf) for steps in range(30, 50)]
    broken = torch.stack([logits(images).argmax(1) != batch.y for images in ends])
    assert bool((broken.any(0) & ~broken.all(0)).any())


def test_the_passes_that_are_told_are_those_that_are_made(logits: Classifier, batch: Batch) -> None:
    for name, attack in ((name, factory()) for name, factory in ATTACKS.items() if name != "jsma"):
        seen = Victim(logits, batch)
        norm = min(attack.norms)
        attack(seen, batch, Threat(norm, 0.1, units="normalised"))
        forwards, backwards = attack.passes(CLASSES)  # type: ignore[attr-defined]
        assert seen.forwards.tolist() == [forwards] * COUNT, name
        assert seen.backwards.tolist() == [backwards] * COUNT, name


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_has_all_properties_but_those_that_it_says_it_lacks(name: str) -> None:
    check_attack(ATTACKS[name]())
