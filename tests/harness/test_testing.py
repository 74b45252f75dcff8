"""The shipped conformance checks pass our own components and catch what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from toy import Blobs, Descent, Idle, Linear, Nearest, Retrained, Rogue, Undefended

from tiltyard import Classifier, LabelScheme, testing
from tiltyard.plugins import Plugins

NATIVE = Plugins().load("native").factories


@pytest.mark.parametrize("name", sorted(NATIVE["attacks"]))
def test_native_attacks_conform(name: str) -> None:
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
class _BatchNoise:
    norms: ClassVar[frozenset[str]] = frozenset({"linf"})
    seeded: bool = True

    def __call__(self, victim, batch, threat):
        generator = torch.Generator()
        generator.manual_seed(0) if self.seeded else generator.seed()
        return (batch.x + threat.eps * (2 * torch.rand(batch.x.shape, generator=generator) - 1)).clamp(0, 1)


def test_noise_of_the_batch_and_unseeded_noise_are_caught() -> None:
    with pytest.raises(AssertionError, match="depend on the batch"):
        testing.check_attack(_BatchNoise())
    with pytest.raises(AssertionError, match="two runs with one seed differ"):
        testing.check_attack(_BatchNoise(seeded=False))


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
