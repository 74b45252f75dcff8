"""The shipped conformance checks pass our own components and catch what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from toy import Blobs, Descent, Idle, Linear, Nearest, Retrained, Rogue, Undefended

from tiltyard import Classifier, LabelScheme, Outputs, testing
from tiltyard.plugins import Plugins

NATIVE = Plugins().load("native").factories


@pytest.mark.parametrize("name", ["bim", "fgsm", "noise"])
def test_native_attacks_conform(name: str) -> None:
    """These are quick; test_doctor.py looks at all of them."""
    testing.check_attack(NATIVE["attacks"][name]())


@pytest.mark.parametrize("name", sorted(NATIVE["defences"]))
def test_native_defences_conform(name: str) -> None:
    testing.check_defence(NATIVE["defences"][name]())


def test_toys_conform() -> None:
    testing.check_attack(Descent())
    testing.check_attack(Nearest())
    testing.check_dataset(Blobs())
    testing.check_model(Linear())
    testing.check_defence(Undefended())
    testing.check_defence(Retrained())


@pytest.mark.parametrize("crime", ["raise", "nan", "outside the ball", "shape", "integers", "mutate weights"])
def test_a_rogue_is_caught(crime: str) -> None:
    with pytest.raises(AssertionError, match="status"):
        testing.check_attack(Rogue(crime))
    with pytest.raises(AssertionError, match="status error"):
        testing.check_attack(Idle())


@dataclass(frozen=True)
class _BatchStart:
    """A search from noise that is drawn for the batch, from a seed or from the clock."""

    norms: ClassVar[frozenset[str]] = frozenset({"linf"})
    seeded: bool = True

    def __call__(self, victim, batch, threat):
        generator = torch.Generator()
        generator.manual_seed(0) if self.seeded else generator.seed()
        noise = 0.5 * threat.eps * (2 * torch.rand(batch.x.shape, generator=generator) - 1)
        x = (batch.x + noise).clamp(0, 1)
        for _ in range(8):
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(batch.margin(victim(x)).sum(), x)
            step = x - threat.eps / 4 * gradient.sign()
            x = (batch.x + (step - batch.x).clamp(-threat.eps, threat.eps)).clamp(0, 1)
        return x.detach()


def test_draws_of_the_batch_and_unseeded_ones_are_caught() -> None:
    with pytest.raises(AssertionError, match=r"linf: batch permutation: .*; linf: batch size"):
        testing.check_attack(_BatchStart())
    testing.check_attack(_BatchStart(), independent=False)
    with pytest.raises(AssertionError, match="linf: determinism: a second call with the same seed"):
        testing.check_attack(_BatchStart(seeded=False))


@dataclass(frozen=True)
class _Weak:
    norms: ClassVar[frozenset[str]] = frozenset({"linf"})

    def __call__(self, victim, batch, threat):
        return (batch.x + threat.eps * batch.uniform(-1, 1)).clamp(0, 1)


@dataclass(frozen=True)
class _KnownToBeWeak(_Weak):
    defects: ClassVar[tuple[str, ...]] = ("strength",)


def test_a_weak_attack_is_caught_unless_it_says_so() -> None:
    with pytest.raises(AssertionError, match="linf: strength: breaks 0 of 8 samples"):
        testing.check_attack(_Weak())
    testing.check_attack(_KnownToBeWeak())


@dataclass(frozen=True)
class _Twins:
    category: ClassVar[bool] = False

    def __call__(self, classes, files):
        return LabelScheme(torch.ones(len(classes), 3))


def test_equal_codes_are_caught() -> None:
    with pytest.raises(AssertionError, match="nearest to another"):
        testing.check_labels(_Twins())


@dataclass(frozen=True)
class _Useless:
    def __call__(self, train):
        plain = train()
        return Classifier(torch.nn.Sequential(plain.network, torch.nn.Linear(4, 4)), plain.scheme).requires_grad_(False)


def test_a_defence_that_ruins_the_classifier_is_caught() -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="easy clean images"):
        testing.check_defence(_Useless())


class _Jittery(Classifier):
    """Adds noise to its scores, from its own generator, from torch's, or from torch's without a word."""

    own = torch.Generator()

    def __init__(self, plain: Classifier, private: bool, randomised: bool) -> None:
        super().__init__(plain.network, plain.scheme)
        self.private, self.randomised = private, randomised

    def outputs(self, x):
        scores = super().outputs(x).scores
        noise = torch.randn(scores.shape, generator=self.own if self.private else None)
        return Outputs(scores + 0.01 * noise)


@dataclass(frozen=True)
class _Jitter:
    private: bool = False
    randomised: bool = True

    def __call__(self, train):
        return _Jittery(train(), self.private, self.randomised).requires_grad_(False)


def test_randomised_defences_draw_where_the_harness_seeds() -> None:
    testing.check_defence(_Jitter())
    with pytest.raises(AssertionError, match="declare randomised = True"):
        testing.check_defence(_Jitter(randomised=False))
    with pytest.raises(AssertionError, match="torch's global generator alone"):
        testing.check_defence(_Jitter(private=True))
