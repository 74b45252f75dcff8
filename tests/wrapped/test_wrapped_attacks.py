"""Every wrapped attack against a linear victim, whose nearest adversarial images are known."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from wrapped_victim import Linear, Strike

import tiltyard_art
import tiltyard_torchattacks
from tiltyard import Attack, Norm, Threat, distance

Row = tuple[str, dict[str, Any], float]
ALL: dict[str, Any] = {f"art.{name}": made for name, made in tiltyard_art.attacks().items()} | {
    f"torchattacks.{name}": made for name, made in tiltyard_torchattacks.attacks().items()
}

# Attack, its keys, and the multiple of the smallest sufficient eps at which every image must fall. The loss of
# most is the cross-entropy, whose gradient is not quite that of the margin; FGM under l1 moves a single pixel.
BOUNDED: list[Row] = [
    ("art.apgd", {"steps": 30}, 1.3),
    ("art.apgd", {"steps": 30, "loss": "dlr"}, 1.1),
    ("art.bim", {}, 1.3),
    ("art.fgm", {}, 2.5),
    ("art.pgd", {"restarts": 2}, 2.5),
    ("art.square", {"queries": 400}, 1.6),
    ("torchattacks.apgd", {"steps": 30}, 1.3),
    ("torchattacks.apgd", {"steps": 30, "loss": "dlr", "restarts": 2}, 1.1),
    ("torchattacks.apgdt", {"steps": 30}, 1.02),
    ("torchattacks.fgsm", {}, 1.3),
    ("torchattacks.mifgsm", {}, 1.3),
    ("torchattacks.pgd", {}, 1.3),
    ("torchattacks.pgd_l2", {}, 1.3),
    ("torchattacks.square", {"queries": 400}, 2.5),
]
# Attack, its keys, and the multiple of the smallest distance that every image may be moved.
MINIMAL: list[Row] = [
    ("art.boundary", {"steps": 100}, 1.3),
    ("art.cw_l2", {}, 1.05),
    ("art.cw_linf", {}, 1.5),
    ("art.deepfool", {}, 1.021),
    ("art.elastic_net", {"steps": 40}, 1.5),
    ("art.hopskipjump", {"steps": 10}, 1.3),
    ("torchattacks.cw", {"const": 5.0}, 1.25),
    ("torchattacks.deepfool", {}, 1.021),
    ("torchattacks.fab", {"steps": 20}, 1.01),
]
# Those that obey a target, and the keys and factor for this.
TARGETED: list[Row] = [
    ("art.apgd", {"steps": 30}, 1.5),
    ("art.bim", {}, 1.5),
    ("art.cw_l2", {}, 1.05),
    ("art.elastic_net", {"steps": 40}, 1.5),
    ("art.fgm", {}, 3.0),
    ("art.pgd", {}, 3.0),
    ("torchattacks.cw", {"const": 5.0}, 1.3),
    ("torchattacks.fgsm", {}, 1.5),
    ("torchattacks.mifgsm", {}, 1.5),
    ("torchattacks.pgd", {}, 1.5),
    ("torchattacks.pgd_l2", {}, 1.5),
    ("torchattacks.square", {"queries": 400}, 3.0),
]
# A cheap setting of each attack, where what it finds does not matter.
CHEAP: dict[str, dict[str, Any]] = {
    "art.apgd": {"steps": 5},
    "art.boundary": {"steps": 5},
    "art.cw_l2": {"steps": 3, "search_steps": 3},
    "art.cw_linf": {"steps": 3},
    "art.deepfool": {"steps": 5},
    "art.elastic_net": {"steps": 5, "search_steps": 3},
    "art.hopskipjump": {"steps": 2},
    "art.square": {"queries": 10},
    "torchattacks.apgd": {"steps": 5},
    "torchattacks.apgdt": {"steps": 5},
    "torchattacks.fab": {"steps": 5},
    "torchattacks.square": {"queries": 10},
}


def rows(table: list[Row]) -> list[Any]:
    """A case for each norm of each row's attack."""
    return [
        pytest.param(name, keys, factor, norm, id="-".join([name, *map(str, keys.values()), norm]))
        for name, keys, factor in table
        for norm in sorted(ALL[name].norms)
    ]


def minimal(attack: Attack) -> bool:
    return getattr(attack, "minimal", False)


def every(table: dict[str, dict[str, Any]]) -> list[Any]:
    return [pytest.param(ALL[name](**table.get(name, {})), id=name) for name in sorted(ALL)]


def threat_of(attack: Attack, linear: Linear, factor: float = 1.5) -> Threat:
    norm = min(attack.norms)
    return Threat(norm) if minimal(attack) else Threat(norm, factor * float(linear.optimum(norm)[0].max()))


@pytest.mark.parametrize(("name", "keys", "factor", "norm"), rows(BOUNDED))
def test_a_bounded_attack_breaks_what_can_be_broken(
    name: str, keys: dict[str, Any], factor: float, norm: Norm, linear: Linear, strike: Strike
) -> None:
    """At a stated multiple of the closed-form optimum all images fall; just below it none can, and none does."""
    attack, nearest = ALL[name](**keys), linear.optimum(norm)[0]
    images = strike(attack, linear.classifier, linear.x, linear.y, Threat(norm, factor * float(nearest.max())))
    assert (linear.classifier(images).argmax(1) != linear.y).all()
    images = strike(attack, linear.classifier, linear.x, linear.y, Threat(norm, 0.98 * float(nearest.min())))
    assert (linear.classifier(images).argmax(1) == linear.y).all()


def test_tpgd_leaves_the_clean_scores_behind(linear: Linear, strike: Strike) -> None:
    """TPGD knows no label: it must move the scores as far as a step along any fixed direction could not."""
    eps = 2 * float(linear.optimum("linf")[0].max())
    images = strike(ALL["torchattacks.tpgd"](), linear.classifier, linear.x, linear.y, Threat("linf", eps))
    clean = linear.classifier(linear.x).log_softmax(1)
    random = (linear.x + eps * torch.randn_like(linear.x).sign()).clamp(0, 1)

    def gone(x: Tensor) -> Tensor:
        return (clean.exp() * (clean - linear.classifier(x).log_softmax(1))).sum(1)

    assert (gone(images) > 5 * gone(random)).all()
    assert (linear.classifier(images).argmax(1) != linear.y).sum() >= 2


@pytest.mark.parametrize(("name", "keys", "factor", "norm"), rows(MINIMAL))
def test_a_minimal_attack_comes_near_the_closest_image(
    name: str, keys: dict[str, Any], factor: float, norm: Norm, linear: Linear, strike: Strike
) -> None:
    """All images fall, within a stated multiple of the closed-form distance."""
    images = strike(ALL[name](**keys), linear.classifier, linear.x, linear.y, Threat(norm))
    assert (linear.classifier(images).argmax(1) != linear.y).all()
    assert (distance(images - linear.x, norm) <= factor * linear.optimum(norm)[0]).all()


@pytest.mark.parametrize(("name", "keys", "factor", "norm"), rows(TARGETED))
def test_a_targeted_attack_reaches_its_target(
    name: str, keys: dict[str, Any], factor: float, norm: Norm, linear: Linear, strike: Strike
) -> None:
    """Targets on the other side of the nearest boundary are reached within a multiple of the distance."""
    nearest, target = linear.optimum(norm)
    attack = ALL[name](**keys)
    eps = torch.inf if minimal(attack) else factor * float(nearest.max())
    threat = Threat(norm, eps, goal="targeted")
    images = strike(attack, linear.classifier, linear.x, linear.y, threat, target)
    assert (linear.classifier(images).argmax(1) == target).all()
    assert (distance(images - linear.x, norm) <= factor * nearest.max() + 1e-6).all()


def test_the_targeted_attacks_are_those_that_say_so() -> None:
    """The table above is complete."""
    assert {name for name, made in ALL.items() if made.targeted} == {name for name, _, _ in TARGETED}


@pytest.mark.parametrize("attack", every(CHEAP))
def test_a_call_is_reproducible(attack: Attack, linear: Linear, strike: Strike) -> None:
    """The same seed gives the same images, whatever the global generators have come to."""
    threat = threat_of(attack, linear)
    first = strike(attack, linear.classifier, linear.x, linear.y, threat)
    np.random.seed(77)
    torch.manual_seed(77)
    assert torch.equal(first, strike(attack, linear.classifier, linear.x, linear.y, threat))


@pytest.mark.parametrize("name", ["art.pgd", "art.hopskipjump", "torchattacks.pgd", "torchattacks.square"])
def test_another_seed_draws_otherwise(name: str, linear: Linear, strike: Strike) -> None:
    """Random starts follow the batch's seed."""
    attack = ALL[name](**CHEAP.get(name, {}))
    threat = threat_of(attack, linear, 3.0 if name == "torchattacks.square" else 0.5)
    first, second = (strike(attack, linear.classifier, linear.x, linear.y, threat, seed=seed) for seed in (3, 4))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "name",
    ["art.boundary", "art.hopskipjump", "art.cw_linf", "art.cw_l2", "torchattacks.deepfool", "torchattacks.cw"],
)
def test_neighbours_in_the_batch_do_not_matter(name: str, linear: Linear, strike: Strike) -> None:
    """Attacks that treat images one by one, or are made to, give each the same result alone."""
    attack = ALL[name](**CHEAP.get(name, {}))
    threat = threat_of(attack, linear)
    together = strike(attack, linear.classifier, linear.x, linear.y, threat)
    alone = strike(attack, linear.classifier, linear.x[:1], linear.y[:1], threat)
    torch.testing.assert_close(alone, together[:1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("attack", every(CHEAP))
def test_no_budget_changes_nothing(attack: Attack, linear: Linear) -> None:
    """With eps 0 the clean images come back."""
    from tiltyard import Batch, Victim

    batch = Batch(linear.x, linear.y, torch.arange(len(linear.x)))
    images = attack(Victim(linear.classifier, batch), batch, Threat(min(attack.norms), 0.0))
    assert torch.equal(images, linear.x)


def test_listing_attacks_imports_neither_library() -> None:
    """Planning a benchmark must not wait for ART, nor need it."""
    code = (
        "import sys, tiltyard_art, tiltyard_torchattacks\n"
        "for plugin in (tiltyard_art, tiltyard_torchattacks):\n"
        "    [made().passes(10) for made in plugin.attacks().values()]\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('art', 'torchattacks')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_plugins_say_what_they_need() -> None:
    """Distribution names and the way to install them."""
    assert list(tiltyard_art.requires) == ["adversarial-robustness-toolbox"]
    assert list(tiltyard_torchattacks.requires) == ["torchattacks"]
    for plugin in (tiltyard_art, tiltyard_torchattacks):
        assert all("pip install 'tiltyard[" in line for line in plugin.requires.values())


def test_nothing_is_called_autoattack() -> None:
    """Neither library's AutoAttack is AutoAttack."""
    assert not [name for name in ALL if "auto" in name]
