"""DDN, FMN, Carlini & Wagner and DeepFool against adversarial-library, foolbox and published medians."""

from __future__ import annotations

from typing import Any

from pairs import Pair, Reference
from torch import Tensor, nn

from tiltyard_native.attacks import DDN


def adv_lib(name: str, **keys: Any) -> Reference:
    """An attack of adversarial-library by its function's name."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from adv_lib import attacks

        images: Tensor = getattr(attacks, name)(victim, x, y, **keys)
        return images

    return call


def foolbox(name: str, **keys: Any) -> Reference:
    """A minimal-norm attack of foolbox by its class's name."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        import foolbox

        model = foolbox.PyTorchModel(victim.eval(), bounds=(0, 1), device=x.device)
        _, (images,), _ = getattr(foolbox.attacks, name)(**keys)(model, x, y, epsilons=[None])
        return images

    return call


PAIRS = [
    Pair("ddn-100", DDN(), adv_lib("ddn", steps=100), "adv-lib", "mnist_advertorch_std", "l2"),
    Pair("ddn-100", DDN(), foolbox("DDNAttack", steps=100), "foolbox", "mnist_advertorch_std", "l2"),
]
