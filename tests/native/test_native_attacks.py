"""What all native attacks promise, whatever they search with."""

from __future__ import annotations

import typing
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tiltyard_native
from tiltyard import Batch, Category, Classifier, Incompatible, Norm, Outputs, Setting, Threat, Victim, distance
from tiltyard.testing import check_attack
from tiltyard_native.attacks import (
    APGD,
    BIM,
    CW,
    DDN,
    FAB,
    FGSM,
    FMN,
    PGD,
    APGDTargeted,
    DeepFool,
    MultiTargeted,
    Noise,
    SigmaZero,
    SparseRS,
    Square,
)

EPS: dict[Norm, float] = {"linf": 0.05, "l2": 0.5, "l1": 3.0, "l0": 8.0}
ATTACKS = [
    FGSM(),
    BIM(),
    PGD(steps=10, restarts=2),
    PGD(steps=10, loss="ce"),
    PGD(steps=10, loss="dlr"),
    PGD(steps=10, loss="label"),
    APGD(steps=10, loss="ce"),
    APGD(steps=10, restarts=2, loss="dlr"),
    APGDTargeted(steps=5, targets=2),
    MultiTargeted(steps=5),
    MultiTargeted(steps=5, restarts=2, targets=2),
    Noise(draws=3),
    FAB(steps=6),
    FAB(steps=4, restarts=2, targets=2),
    Square(queries=20),
    SparseRS(queries=20),
    DDN(steps=20),
    FMN(steps=20),
    CW(steps=15, binary_search_steps=3),
    DeepFool(steps=5),
    SigmaZero(steps=20),
]
EVERY = [(attack, norm) for attack in ATTACKS for norm in sorted(attack.norms)]


class Rough(Classifier):
    """A small convolutional classifier, some of whose outputs can be spoilt."""

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 36, 5)]
        super().__init__(nn.Sequential(*layers), Category(5))
        self.eval().requires_grad_(False)

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(8 * super().outputs(x).scores)


class Broken(Rough):
    """Not a number wherever the first pixel is white."""

    def outputs(self, x: Tensor) -> Outputs:
        hole = torch.where(x[:, 0, 0, 0] == 1, torch.nan, 0.0)
        return Outputs(super().outputs(x).scores + hole.unsqueeze(1))


class Shaken(Rough):
    """A randomised classifier."""

    randomised = True

    def outputs(self, x: Tensor) -> Outputs:
        return super().outputs((x + 0.1 * torch.randn_like(x)).clamp(0, 1))


def samples(victim: Classifier, count: int = 16) -> Batch:
    """Images that the victim gets right, in no order of their ids."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    return Batch(x, victim(x).argmax(1), (7 * torch.arange(count)) % count, key="rough")


def run(attack: Any, victim: Classifier, batch: Batch, norm: Norm) -> tuple[Tensor, Victim]:
    seen = Victim(victim, batch)
    return attack(seen, batch, Threat(norm) if attack.minimal else Threat(norm, EPS[norm])), seen


@pytest.mark.parametrize(("attack", "norm"), EVERY)
def test_images_do_not_depend_on_the_batch(attack: Any, norm: Norm) -> None:
    victim = Rough()
    batch = samples(victim)
    whole, _ = run(attack, victim, batch, norm)
    quarters = torch.cat([run(attack, victim, batch[part], norm)[0] for part in torch.arange(16).split(4)])
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    shuffled, _ = run(attack, victim, batch[order], norm)
    assert torch.allclose(quarters, whole, atol=1e-4)
    assert torch.allclose(shuffled, whole[order], atol=1e-4)


@pytest.mark.parametrize(("attack", "norm"), EVERY)
def test_no_more_passes_than_announced(attack: Any, norm: Norm) -> None:
    victim = Rough()
    image, seen = run(attack, victim, samples(victim), norm)
    forwards, backwards = attack.passes(5)
    assert int(seen.forwards.max()) <= forwards
    assert int(seen.backwards.max()) <= backwards
    assert image.shape == (16, 1, 8, 8)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_unbreakable_sample_costs_what_is_announced(attack: Any) -> None:
    victim = Rough()
    batch = samples(victim)
    seen = Victim(victim, batch)
    norm = "l2" if attack.minimal else "linf"
    attack(seen, batch, Threat(norm, 0.0))
    if not attack.minimal:
        assert (int(seen.forwards.max()), int(seen.backwards.max())) == attack.passes(5)


def test_a_broken_sample_costs_nothing_more() -> None:
    victim = Rough()
    batch = samples(victim)
    image, seen = run(PGD(steps=40), victim, batch, "linf")
    fell = victim(image).argmax(1) != batch.y
    assert bool(fell.any())
    assert int(seen.forwards[fell].min()) < 20
    assert bool((seen.forwards[~fell] == 41).all())


@pytest.mark.parametrize(("attack", "norm"), EVERY)
def test_scores_that_are_no_numbers_neither_crash_nor_count_nor_spread(attack: Any, norm: Norm) -> None:
    whole, broken = Rough(), Broken()
    batch = samples(whole)
    batch.x[::2, 0, 0, 0] = 1.0
    image, _ = run(attack, broken, batch, norm)
    assert bool(image.isfinite().all())
    sound = torch.arange(1, 16, 2)
    alone, _ = run(attack, broken, batch[sound], norm)
    assert torch.allclose(image[sound], alone, atol=1e-4)


@pytest.mark.parametrize(("attack", "norm"), EVERY)
def test_an_attack_leaves_no_trace(attack: Any, norm: Norm) -> None:
    """No gradient on parameters, no random number taken, no image changed, even where gradients are off."""
    victim = Rough().requires_grad_(True)
    with torch.no_grad():
        batch = samples(victim)
        before, state = batch.x.clone(), torch.get_rng_state()
        image, _ = run(attack, victim, batch, norm)
    assert torch.equal(batch.x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in victim.parameters())
    assert not image.requires_grad


@pytest.mark.parametrize(
    "attack",
    [FGSM(), BIM(), PGD(), MultiTargeted(steps=20), Noise(draws=3), DDN(), FMN(), CW(), DeepFool(), SigmaZero()],
)
def test_conformance(attack: Any) -> None:
    check_attack(attack)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_more_search_never_breaks_less(norm: Norm) -> None:
    victim = Rough()
    batch = samples(victim, 64)
    ladder = [Noise(), FGSM(), PGD(steps=20), PGD(steps=20, restarts=3), MultiTargeted(steps=20, restarts=3)]
    fell = [int((victim(run(attack, victim, batch, norm)[0]).argmax(1) != batch.y).sum()) for attack in ladder]
    assert fell == sorted(fell)
    assert fell[0] < fell[-1]


def test_dlr_is_the_published_ratio_and_free_of_scale() -> None:
    from tiltyard_native.attacks.losses import LOSSES

    victim = Rough()
    batch = samples(victim)
    value, _ = LOSSES["dlr"](Victim(victim, batch), batch, batch.x)
    z = victim(batch.x)
    top = z.sort(dim=1, descending=True).values
    assert torch.allclose(value, (top[:, 0] - top[:, 1]) / (top[:, 0] - top[:, 2]), atol=1e-5)
    second, third = z.argsort(dim=1, descending=True)[:, 1:3].unbind(1)
    aimed = Batch(batch.x, batch.y, batch.ids, third)
    value, _ = LOSSES["dlr"](Victim(victim, aimed), aimed, batch.x)
    spread = top[:, 0] - (top[:, 2] + top[:, 3]) / 2
    assert torch.allclose(value, (top[:, 0] - top[:, 2]) / spread, atol=1e-5)
    victim.network[3].weight *= 1e-3
    victim.network[3].bias *= 1e-3
    again, _ = LOSSES["dlr"](Victim(victim, aimed), aimed, batch.x)
    assert torch.allclose(again, value, atol=1e-3)
    assert second.shape == third.shape


@pytest.mark.parametrize("loss", ["ce", "label"])
def test_cross_entropy_rises_untargeted_and_falls_to_the_target(loss: Any) -> None:
    victim = Rough()
    batch = samples(victim)
    image, _ = run(PGD(loss=loss), victim, batch, "linf")
    assert bool((victim.loss(image, batch.y) > victim.loss(batch.x, batch.y)).all())
    aimed = Batch(batch.x, batch.y, batch.ids, (batch.y + 1) % 5)
    image, _ = run(PGD(loss=loss), victim, aimed, "linf")
    assert bool((victim.loss(image, aimed.target) < victim.loss(batch.x, aimed.target)).all())


def setting(classes: int | None, goal: Any) -> Setting:
    class Known:
        def __init__(self) -> None:
            self.classes = classes

    return Setting(Known(), None, None, None, PGD(), "linf", goal)  # type: ignore[arg-type]


def test_dlr_is_refused_where_there_are_too_few_classes() -> None:
    attack = PGD(loss="dlr")
    assert "needs at least 3 classes" in str(attack.refuse(setting(2, "untargeted")))
    assert "needs at least 4 classes" in str(attack.refuse(setting(3, "targeted")))
    assert attack.refuse(setting(3, "untargeted")) is None
    assert attack.refuse(setting(None, "targeted")) is None
    assert PGD().refuse(setting(2, "targeted")) is None
    two = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Category(2)).eval()
    with pytest.raises(Incompatible, match="there are 2"):
        run(attack, two, samples(two), "linf")


def test_wrong_keys_are_named() -> None:
    with pytest.raises(ValueError, match="restarts = 2 with random_start = false"):
        PGD(restarts=2, random_start=False)
    with pytest.raises(ValueError, match="restarts = 2 with random_start = false"):
        MultiTargeted(restarts=2, random_start=False)
    with pytest.raises(ValueError, match=r"gamma = 1\.5"):
        DDN(gamma=1.5)
    with pytest.raises(ValueError, match="levels = 1"):
        DDN(levels=1)
    with pytest.raises(ValueError, match="init_eps"):
        DDN(init_eps=0.0)


@pytest.mark.parametrize("attack", [FGSM(), BIM(), PGD(), MultiTargeted(), Noise()])
def test_an_infinite_budget_is_refused(attack: Any) -> None:
    victim = Rough()
    batch = samples(victim)
    with pytest.raises(ValueError, match="finite eps"):
        attack(Victim(victim, batch), batch, Threat("linf"))


def test_averaged_gradients_break_more_of_a_randomised_victim() -> None:
    """Judged by the mean margin over 64 draws of the defence."""
    victim = Shaken()
    batch = samples(Rough(), 128)

    def mean_margin(eot: int) -> float:
        torch.manual_seed(0)
        image, _ = run(PGD(steps=10, eot=eot), victim, batch, "linf")
        return float(torch.stack([batch.margin(victim(image)) for _ in range(64)]).mean())

    assert mean_margin(20) < mean_margin(1)


@pytest.mark.parametrize("attack", [PGD(steps=10, restarts=2), APGD(steps=10), Square(queries=20)])
def test_nobody_leaves_the_search_on_a_randomised_victim(attack: Any) -> None:
    victim = Shaken()
    seen = Victim(victim, samples(victim))
    torch.manual_seed(0)
    attack(seen, samples(victim), Threat("linf", 0.3))
    assert set(seen.forwards.tolist()) == {attack.passes(5)[0]}


def test_step_size_is_in_pixels_of_the_norm() -> None:
    victim = Rough()
    batch = samples(victim)
    image = PGD(steps=3, step_size=0.001, random_start=False)(Victim(victim, batch), batch, Threat("linf", 0.5))
    assert float(distance(image - batch.x, "linf").max()) == pytest.approx(0.003, rel=1e-3)


def test_hooks_offer_the_components_with_readable_keys() -> None:
    attacks, defences = tiltyard_native.attacks(), tiltyard_native.defences()
    gradients = {"fgsm", "bim", "pgd", "apgd", "apgd_targeted", "multi_targeted", "standard"}
    minimal = {"cw", "ddn", "deepfool", "fab", "fmn", "sigma_zero"}
    assert set(attacks) == gradients | minimal | {"square", "sparse_rs", "transfer", "noise"}
    assert set(defences) == {"none", "squeezing", "distillation", "jpeg", "resize_pad", "smoothing"}
    for factory in [*attacks.values(), *defences.values()]:
        assert typing.get_type_hints(factory, include_extras=True) is not None
        assert factory() == factory()
