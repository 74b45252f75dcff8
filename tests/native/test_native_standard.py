"""The standard suite: what it runs against whom, that a cascade loses nothing, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Outputs, Threat, Victim, distance
from tiltyard_native.attacks import APGD, FAB, APGDTargeted, MultiTargeted, Noise, SparseRS, Square, Standard
from tiltyard_native.attacks.standard import suite
from tiltyard_native.attacks.standard_cascade import Cascade

EPS: dict[Norm, float] = {"linf": 0.03, "l2": 0.3, "l1": 2.0}
WIDE: dict[Norm, float] = {"linf": 0.5, "l2": 4.0, "l1": 24.0, "l0": 50.0}
SMALL = (APGD(steps=5, loss="ce"), MultiTargeted(steps=5), APGDTargeted(steps=5), FAB(steps=5, targets=9), Square(20))


class Small(Classifier):
    """A small convolutional classifier; it may reject images of low contrast, or shake them."""

    def __init__(self, rejects: bool = False, shakes: bool = False) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 36, 5)]
        super().__init__(nn.Sequential(*layers), Category(5))
        self.eval().requires_grad_(False)
        self.rejects, self.shakes = rejects, shakes

    @property
    def randomised(self) -> bool:  # type: ignore[override]
        return self.shakes

    def outputs(self, x: Tensor) -> Outputs:
        x = x + 0.02 * torch.randn_like(x) if self.shakes else x
        rejection = 10 * (0.287 - x.flatten(1).std(1)) if self.rejects else None
        return Outputs(8 * super().outputs(x).scores, rejection)


def samples(count: int = 24, targeted: bool = False) -> Batch:
    """Images that ``Small`` gets right, in no order of their ids."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    y = Small()(x).argmax(1)
    return Batch(x, y, (7 * torch.arange(count)) % count, (y + 1) % 5 if targeted else None, key="small")


def fell(attack: Any, classifier: Classifier, batch: Batch, norm: Norm, eps: float) -> tuple[Tensor, Victim]:
    """Which samples (N,) fall, the images being inside box and ball, and what that cost."""
    victim = Victim(classifier, batch)
    image = attack(victim, batch, Threat(norm, eps, "untargeted" if batch.target is None else "targeted"))
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert float(distance(image - batch.x, norm).max()) <= eps * (1 + 1e-5)
    return batch.margin(Victim(classifier, batch)(image)) < 0, victim


def names(cascade: Cascade) -> list[str]:
    return [type(member).__name__ for member in cascade.members]


def test_the_suite_is_fixed_and_has_no_keys() -> None:
    assert fields(Standard) == ()
    for norm in ("linf", "l2", "l1"):
        assert names(suite(Threat(norm, 1.0), False, False)) == [
            "APGD",
            "MultiTargeted",
            "APGDTargeted",
            "FAB",
            "Square",
        ]
    members = suite(Threat("linf", 1.0), False, False).members
    assert [getattr(member, "targets", None) for member in members] == [None, 9, 9, 9, None]
    members = suite(Threat("l1", 1.0), False, False).members
    assert [getattr(member, "targets", None) for member in members] == [None, 9, 5, 9, None]
    assert members[0] == APGD(loss="ce", restarts=5)
    assert names(suite(Threat("linf", 1.0), False, True)) == ["APGD", "APGD", "APGD", "FAB", "Square"]
    assert names(suite(Threat("l0", 5), False, False)) == ["SigmaZero", "SparseRS"]
    for targeted in (False, True):
        rand = suite(Threat("l2", 1.0), True, targeted)
        assert [(member.loss, member.eot) for member in rand.members] == [("ce", 20), ("dlr", 20)]  # type: ignore[attr-defined]
    for threat in (Threat("linf", 1.0), Threat("l0", 5)):
        for targeted in (False, True):
            assert not targeted or all(member.targeted for member in suite(threat, False, True).members)  # type: ignore[attr-defined]


@pytest.mark.parametrize("norm", sorted(EPS))
def test_a_cascade_breaks_whatever_a_member_breaks_alone(norm: Norm) -> None:
    """Under the random numbers that the cascade gives it."""
    batch = samples()
    together, _ = fell(Cascade(SMALL), Small(), batch, norm, EPS[norm])
    apart = torch.zeros_like(together)
    for place, member in enumerate(SMALL):
        own = Batch(batch.x, batch.y, batch.ids, key=f"small|{place}")
        apart |= fell(member, Small(), own, norm, EPS[norm])[0]
    assert bool((together >= apart).all())
    assert 0 < int(together.sum()) < len(batch)


@pytest.mark.parametrize("norm", sorted(EPS))
def test_a_cascade_does_not_depend_on_the_batch(norm: Norm) -> None:
    batch, order = samples(), torch.randperm(24, generator=torch.Generator().manual_seed(1))
    run = lambda part: Cascade(SMALL)(Victim(Small(), part), part, Threat(norm, EPS[norm]))  # noqa: E731
    whole = run(batch)
    assert torch.allclose(torch.cat([run(batch[part]) for part in torch.arange(24).split(5)]), whole, atol=1e-4)
    assert torch.allclose(run(batch[order]), whole[order], atol=1e-4)
    assert torch.equal(run(batch), whole)


@dataclass(frozen=True)
class Recorder:
    """An attack that notes which samples it was given, and breaks none."""

    given: list[list[int]]
    norms: ClassVar[frozenset[Norm]] = frozenset({"linf"})
    minimal: ClassVar[bool] = False

    def passes(self, classes: int) -> tuple[int, int]:
        return 0, 0

    def __call__(self, victim: Any, batch: Batch, threat: Threat) -> Tensor:
        self.given.append(sorted(batch.ids.tolist()))
        return batch.x


def test_a_broken_sample_is_not_given_to_those_that_follow() -> None:
    given: list[list[int]] = []
    batch = samples()
    first = MultiTargeted(steps=20)
    broken, _ = fell(Cascade((Recorder(given), first, Recorder(given))), Small(), batch, "linf", 0.03)
    assert given == [sorted(batch.ids.tolist()), sorted(batch.ids[~broken].tolist())]
    fell(Cascade((first, Recorder(given))), Small(), batch, "linf", 1.0)
    assert len(given) == 2  # nobody was left, so nobody was asked


def test_what_a_minimal_norm_member_finds_beyond_eps_does_not_count() -> None:
    @dataclass(frozen=True)
    class Far(Recorder):
        minimal: ClassVar[bool] = True

        def __call__(self, victim: Any, batch: Batch, threat: Threat) -> Tensor:
            return 1 - batch.x

    broken, _ = fell(Cascade((Far([]),)), Small(), samples(), "linf", 0.001)
    assert not bool(broken.any())


@pytest.mark.parametrize("norm", sorted(EPS))
def test_no_more_passes_than_announced(norm: Norm) -> None:
    for eps in (0.0, EPS[norm]):
        _, victim = fell(Cascade(SMALL), Small(), samples(), norm, eps)
        forwards, backwards = Cascade(SMALL).passes(5)
        assert int(victim.forwards.max()) <= forwards
        assert int(victim.backwards.max()) <= backwards
    assert Standard().passes(10)[0] >= 5000 + 2 * 900


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_standard_breaks_everything_that_noise_and_sparse_search_break(norm: Norm) -> None:
    batch, eps = samples(6), WIDE[norm]
    weak = SparseRS(queries=50) if norm == "l0" else Noise(draws=20)
    broken, victim = fell(Standard(), Small(), batch, norm, eps)
    assert bool((broken >= fell(weak, Small(), batch, norm, eps)[0]).all())
    assert bool(broken.all())
    assert int(victim.forwards.max()) <= Standard().passes(5)[0]


@pytest.mark.parametrize("norm", sorted(EPS))
def test_a_target_is_reached(norm: Norm) -> None:
    broken, _ = fell(Standard(), Small(), samples(6, targeted=True), norm, WIDE[norm])
    assert bool(broken.all())


def test_a_detector_is_passed_as_well() -> None:
    batch = samples()
    detector = Small(rejects=True)
    batch = batch[detector.outputs(batch.x).rejection < 0]  # type: ignore[operator]
    image = Standard()(Victim(detector, batch), batch, Threat("linf", 0.15))
    scores, rejection = detector.outputs(image)
    assert rejection is not None
    assert len(batch) > 5
    assert bool(((scores.argmax(1) != batch.y) & (rejection <= 0)).all())


def test_a_randomised_victim_is_attacked_on_average() -> None:
    batch, victim = samples(8), Small(shakes=True)
    torch.manual_seed(0)
    seen = Victim(victim, batch)
    image = Standard()(seen, batch, Threat("linf", 0.4))
    wrong = torch.stack([victim(image).argmax(1) != batch.y for _ in range(40)]).float().mean(0)
    assert float(wrong.mean()) > 0.8
    assert int(seen.backwards.max()) <= Standard().passes(5)[1]


def test_a_cascade_costs_the_share_of_samples_that_hold(trainer: Any, digits: tuple[Tensor, Tensor]) -> None:
    """And less than a third of its members in full where a quarter holds."""
    network = trainer()
    x, y = digits[0][1200:1280], digits[1][1200:1280]
    batch = Batch(x, y, torch.arange(80), key="digits")[network(x).argmax(1) == y]
    cascade = Cascade((APGD(loss="ce"), MultiTargeted(targets=9), FAB(targets=9, steps=20), Square(queries=1000)))
    broken, victim = fell(cascade, network, batch, "linf", 0.1)
    holds = float((~broken).float().mean())
    share = float((victim.forwards + victim.backwards).float().mean()) / sum(cascade.passes(10))
    assert 0.1 < holds < 0.3
    assert holds - 0.05 < share < min(holds + 0.05, 1 / 3)


def test_standard_is_exact_on_linear_victims(linear: Callable[[int], Any]) -> None:
    victim = linear(3)
    batch = victim.batch(2, "linf", 0.03, False, lean=0)
    assert bool(fell(Standard(), victim.classifier, batch, "linf", 1.02 * 0.03)[0].all())
    assert not bool(fell(Standard(), victim.classifier, batch, "linf", 0.98 * 0.03)[0].any())


def test_an_infinite_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="finite eps"):
        Standard()(Victim(Small(), samples()), samples(), Threat("linf"))
