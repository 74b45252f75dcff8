"""DDN, FMN, Carlini & Wagner, DeepFool and sigma-zero against adversarial-library, foolbox and published medians."""

from __future__ import annotations

import math
from typing import Any

from pairs import Pair, Reference
from torch import Tensor, nn

from tiltyard import Norm
from tiltyard_native.attacks import CW, DDN, FMN, DeepFool, SigmaZero


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


STD, ADV, RESNET = "mnist_advertorch_std", "mnist_advertorch_adv", "cifar10_resnet2b"
VICTIMS = (STD, ADV, RESNET)
ORDERS: dict[Norm, float] = {"linf": math.inf, "l2": 2.0, "l1": 1.0}

_CW = {"binary_search_steps": 9, "max_iterations": 100}

PAIRS = [
    *(Pair("ddn-100", DDN(), adv_lib("ddn", steps=100), "adv-lib", victim, "l2") for victim in VICTIMS),
    *(Pair("ddn-100", DDN(), foolbox("DDNAttack", steps=100), "foolbox", victim, "l2") for victim in VICTIMS),
    Pair("ddn-1000", DDN(steps=1000), 1.388, "advertorch", STD, "l2"),
    Pair("ddn-1000", DDN(steps=1000), 1.872, "advertorch", ADV, "l2"),
    *(
        Pair("fmn-100", FMN(), adv_lib("fmn", steps=100, norm=order), "adv-lib", victim, norm)
        for victim in VICTIMS
        for norm, order in ORDERS.items()
    ),
    *(Pair("cw-9x100", CW(), adv_lib("carlini_wagner_l2", **_CW), "adv-lib", victim, "l2") for victim in VICTIMS),
    *(
        Pair("deepfool-50", DeepFool(), adv_lib("df", steps=50, norm=ORDERS[norm]), "adv-lib", victim, norm)
        for victim in VICTIMS
        for norm in ("linf", "l2")
    ),
    *(
        Pair("sigma_zero-100", SigmaZero(), adv_lib("sigma_zero", num_steps=100), "adv-lib", victim, "l0")
        for victim in VICTIMS
    ),
]
