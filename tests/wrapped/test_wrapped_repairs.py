"""What the adapters put right in the libraries, and what they refuse."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from wrapped_victim import Linear, Strike

import tiltyard_art
import tiltyard_torchattacks
from tiltyard import Batch, Category, Classifier, Incompatible, Outputs, Threat, Victim, distance

ART: dict[str, Any] = tiltyard_art.attacks()
TA: dict[str, Any] = tiltyard_torchattacks.attacks()


class Shifted(nn.Module):
    """The same decisions, all scores moved."""

    def __init__(self, network: nn.Module, by: float) -> None:
        super().__init__()
        self.network, self.by = network, by

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) + self.by


@pytest.mark.parametrize("by", [-100.0, 100.0])
def test_cw_does_not_see_a_shift_of_all_scores(by: float, linear: Linear, strike: Strike) -> None:
    """torchattacks compares the label's score with 0 where all others are negative."""
    moved = Classifier(Shifted(linear.classifier.network, by), Category(5)).eval()
    attack = TA["cw"](const=5.0, steps=60)
    plain = strike(attack, linear.classifier, linear.x, linear.y, Threat("l2"))
    there = strike(attack, moved, linear.x, linear.y, Threat("l2"))
    torch.testing.assert_close(there, plain, atol=2e-3, rtol=0)


def black_and_white() -> tuple[Classifier, Tensor, Tensor]:
    """Binary images, and a linear classifier whose boundary can only be reached by moving black or white pixels."""
    generator = torch.Generator().manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    x = torch.rand(4, 1, 8, 8, generator=generator).round()
    with torch.no_grad():
        network[1].weight.copy_(torch.randn(3, 64, generator=generator) / 8)
        network[1].bias.zero_()
    return (classifier := Classifier(network, Category(3)).requires_grad_(False)), x, classifier(x).argmax(1)


@pytest.mark.parametrize(
    ("attack", "norm", "factor"),
    [
        (TA["cw"](const=10.0), "l2", 1.03),
        (TA["deepfool"](), "l2", 1.05),
        (ART["cw_l2"](), "l2", 1.3),
        (ART["cw_linf"](), "linf", 1.2),
        (ART["deepfool"](), "l2", 1.05),
    ],
    ids=["torchattacks.cw", "torchattacks.deepfool", "art.cw_l2", "art.cw_linf", "art.deepfool"],
)
def test_black_and_white_images_fall(attack: Any, norm: Any, factor: float, strike: Strike) -> None:
    """tanh onto [0, 1] freezes such pixels, and clipping inside the loop stops DeepFool on the boundary."""
    classifier, x, y = black_and_white()
    images = strike(attack, classifier, x, y, Threat(norm))
    fab = strike(TA["fab"](), classifier, x, y, Threat(norm))
    assert (classifier(images).argmax(1) != y).all()
    assert (distance(images - x, norm) < factor * distance(fab - x, norm)).all()


def test_decision_attacks_survive_single_precision_networks(linear: Linear, strike: Strike) -> None:
    """ART sends float64 images under NumPy 2, on which a float32 network fails; the victim casts them."""
    import art.attacks.evasion
    import art.estimators.classification

    estimator = art.estimators.classification.PyTorchClassifier(
        linear.classifier,
        loss=nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=5,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    bare = art.attacks.evasion.HopSkipJump(estimator, max_iter=1, verbose=False)
    with pytest.raises(RuntimeError, match=r"dtype|type"):
        bare.generate(linear.x.numpy())
    strike(ART["hopskipjump"](steps=1), linear.classifier, linear.x, linear.y, Threat("l2"))


class Moody(Classifier):
    """A classifier that takes everything for another class at first, and for the label ever after."""

    def __init__(self, network: nn.Module, queries: int) -> None:
        super().__init__(network, Category(2))
        self.left = queries

    def outputs(self, x: Tensor) -> Outputs:
        self.left -= 1
        return Outputs(torch.tensor([[0.0, 1.0]] if self.left > 0 else [[1.0, 0.0]]).repeat(len(x), 1))


@pytest.mark.parametrize("queries", [3, 10, 25, 40])
def test_hopskipjump_ends_where_no_step_is_small_enough(queries: int) -> None:
    """ART halves a step until the image is adversarial, for ever where none is."""
    x = torch.full((1, 1, 8, 8), 0.5)
    batch = Batch(x, torch.tensor([0]), torch.tensor([0]))
    images = ART["hopskipjump"](steps=5)(Victim(Moody(nn.Identity(), queries), batch), batch, Threat("l2"))
    assert images.isfinite().all()


def test_hopskipjump_without_a_start_returns_the_clean_image() -> None:
    """Where no uniform image is adversarial there is nothing to begin with."""
    x = torch.full((1, 1, 8, 8), 0.5)
    batch = Batch(x, torch.tensor([1]), torch.tensor([0]))
    for name in ("hopskipjump", "boundary"):
        assert torch.equal(ART[name]()(Victim(Moody(nn.Identity(), 10**6), batch), batch, Threat("l2")), x)


def test_apgdt_under_l2_takes_its_own_step_for_each_image(linear: Linear, strike: Strike) -> None:
    """torchattacks gives all images of a batch the step of the first."""
    attack, eps = TA["apgdt"](steps=10), float(linear.optimum("l2")[0].max())
    together = strike(attack, linear.classifier, linear.x, linear.y, Threat("l2", eps))
    assert (linear.classifier(together).argmax(1) == linear.y).sum() <= 1


def test_square_says_which_images_it_cannot_treat() -> None:
    """torchattacks' l2 windows run over the border of 12 x 12 images; ART's first square must leave room."""
    for attack, norm, side in ((TA["square"](), "l2", 12), (ART["square"](), "linf", 4)):
        x = torch.full((1, 3, side, side), 0.5)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, 3)).requires_grad_(False)
        batch = Batch(x, torch.tensor([0]), torch.tensor([0]))
        with pytest.raises(Incompatible, match=f"{side} x {side}"):
            attack(Victim(Classifier(network, Category(3)), batch), batch, Threat(norm, 0.1))


@pytest.mark.parametrize(
    ("attack", "classes"),
    [(TA["apgdt"](), 3), (TA["apgd"](loss="dlr"), 2), (ART["apgd"](loss="dlr"), 2)],
    ids=["torchattacks.apgdt", "torchattacks.apgd", "art.apgd"],
)
def test_a_loss_that_ranks_classes_needs_enough_of_them(attack: Any, classes: int) -> None:
    """Refused in the plan where the number is known, and in the call where it was not."""
    known, unknown, enough = (SimpleNamespace(dataset=SimpleNamespace(classes=n)) for n in (classes, None, classes + 1))
    assert str(classes) in attack.refuse(known)
    assert attack.refuse(unknown) is None
    assert attack.refuse(enough) is None
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)).requires_grad_(False)
    batch = Batch(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), torch.arange(2))
    with pytest.raises(Incompatible, match="ranks"):
        attack(Victim(Classifier(network, Category(classes)), batch), batch, Threat("linf", 0.1))


@pytest.mark.parametrize(
    ("make", "keys", "word"),
    [
        (ART["pgd"], {"restarts": 2, "random_start": False}, "random_start"),
        (ART["square"], {"p_init": 1.0}, "p_init"),
        (ART["cw_linf"], {"const_factor": 1.0}, "const_factor"),
        (ART["cw_linf"], {"const": 30.0}, "largest_const"),
        (ART["hopskipjump"], {"queries": 200, "most_queries": 100}, "most_queries"),
        (ART["boundary"], {"adapt": 1.5}, "adapt"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(make: Any, keys: dict[str, Any], word: str) -> None:
    """The message names the key."""
    with pytest.raises(ValueError, match=word):
        make(**keys)


def test_pgd_is_the_librarys_pgd(linear: Linear) -> None:
    """The adapter adds nothing: a bare call of either library from the same seed gives the same images."""
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    batch = Batch(linear.x, linear.y, torch.arange(len(linear.x)), seed=9, key="cell")
    threat = Threat("linf", 0.01)
    ours = TA["pgd"](steps=7)(Victim(linear.classifier, batch), batch, threat)
    torch.manual_seed(batch.call_seed)
    bare = torchattacks.PGD(linear.classifier, eps=0.01, alpha=2.5 * 0.01 / 7, steps=7)(linear.x, linear.y)
    assert torch.equal(ours, bare)

    ours = ART["pgd"](steps=7)(Victim(linear.classifier, batch), batch, threat)
    np.random.seed(batch.call_seed)
    estimator = PyTorchClassifier(
        linear.classifier,
        loss=nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=5,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    attack = ProjectedGradientDescent(
        estimator, eps=0.01, eps_step=2.5 * 0.01 / 7, max_iter=7, num_random_init=1, verbose=False
    )
    assert torch.equal(ours, torch.from_numpy(attack.generate(linear.x.numpy(), linear.y.numpy())))


class Guarded(Classifier):
    """A detector that rejects images whose mean is above 0.5."""

    def outputs(self, x: Tensor) -> Outputs:
        return Outputs(super().outputs(x).scores, 20 * (x.flatten(1).mean(1) - 0.5))


@pytest.mark.parametrize(
    "attack",
    [TA["pgd"](), TA["deepfool"](), TA["fab"](), ART["pgd"](), ART["hopskipjump"](steps=8)],
    ids=["torchattacks.pgd", "torchattacks.deepfool", "torchattacks.fab", "art.pgd", "art.hopskipjump"],
)
def test_a_detector_has_to_be_fooled_as_well(attack: Any, linear: Linear) -> None:
    """What a wrapped attack finds is misclassified and accepted, since it sees folded scores."""
    defended = Guarded(linear.classifier.network, linear.classifier.scheme)
    clean = linear.x - (linear.x.flatten(1).mean(1) - 0.49).clamp_min(0).view(-1, 1, 1, 1)
    y = linear.classifier(clean).argmax(1)
    batch = Batch(clean, y, torch.arange(len(y)))
    norm = "linf" if "linf" in attack.norms else "l2"
    eps = torch.inf if getattr(attack, "minimal", False) else 0.03
    images = attack(Victim(defended, batch), batch, Threat(norm, eps))
    scores, rejection = defended.outputs(images)
    assert rejection is not None
    assert ((scores.argmax(1) != y) & (rejection < 0)).float().mean() >= 0.8


@pytest.mark.parametrize("make", [*ART.values(), *TA.values()], ids=[*(f"art.{n}" for n in ART), *TA])
def test_every_key_has_a_type_and_a_default(make: Any) -> None:
    """The harness derives the TOML keys from the signature."""
    for parameter in inspect.signature(make).parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
        assert parameter.default is not inspect.Parameter.empty
