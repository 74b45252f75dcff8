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

FOOLBOX: dict[Norm, str] = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack"}
FAB: dict[Norm, dict[str, float]] = {
    "linf": {STD: 0.1120, ADV: 0.3509},
    "l2": {STD: 1.423, ADV: 3.04},
    "l1": {STD: 7.61},
}
"""Median distances of FAB with 20 steps, as advertorch's reports give them."""

_ADV_LIB_CW = adv_lib("carlini_wagner_l2", binary_search_steps=9, max_iterations=100, learning_rate=0.05)
_FOOLBOX_CW = foolbox("L2CarliniWagnerAttack", binary_search_steps=9, steps=100, stepsize=0.05)


def fmn(steps: int, norm: Norm) -> Reference:
    """The FMN of adversarial-library."""
    return adv_lib("fmn", steps=steps, norm=ORDERS[norm])


PAIRS = [
    *(Pair("ddn-100", DDN(), adv_lib("ddn", steps=100), "adv-lib", victim, "l2") for victim in VICTIMS),
    *(Pair("ddn-100", DDN(), foolbox("DDNAttack", steps=100), "foolbox", victim, "l2") for victim in VICTIMS),
    *(Pair("ddn-1000", DDN(1000), adv_lib("ddn", steps=1000), "adv-lib", victim, "l2") for victim in (STD, ADV)),
    Pair("ddn-1000", DDN(1000), 1.388, "advertorch", STD, "l2"),
    Pair("ddn-1000", DDN(1000), 1.872, "advertorch", ADV, "l2"),
    *(Pair("fmn-100", FMN(), fmn(100, norm), "adv-lib", victim, norm) for victim in VICTIMS for norm in ORDERS),
    *(
        Pair("fmn-100", FMN(), foolbox(name, steps=100), "foolbox", victim, norm)
        for victim in VICTIMS
        for norm, name in FOOLBOX.items()
    ),
    *(
        Pair("fmn-1000", FMN(1000), fmn(1000, norm), "adv-lib", victim, norm)
        for victim in (STD, ADV)
        for norm in ORDERS
    ),
    *(
        Pair("fmn-100", FMN(), median, "advertorch (FAB)", victim, norm)
        for norm, medians in FAB.items()
        for victim, median in medians.items()
    ),
    *(Pair("cw-9x100", CW(), _ADV_LIB_CW, "adv-lib", victim, "l2") for victim in VICTIMS),
    *(Pair("cw-9x100", CW(), _FOOLBOX_CW, "foolbox", victim, "l2") for victim in VICTIMS),
    *(
        Pair("deepfool-50", DeepFool(), adv_lib("df", steps=50, norm=ORDERS[norm]), "adv-lib", victim, norm)
        for victim in VICTIMS
        for norm in ("linf", "l2")
    ),
    *(
        Pair("sigma_zero-100", SigmaZero(), adv_lib("sigma_zero", num_steps=100), "adv-lib", victim, "l0")
        for victim in VICTIMS
    ),
    *(
        Pair("sigma_zero-1000", SigmaZero(1000), adv_lib("sigma_zero", num_steps=1000), "adv-lib", victim, "l0")
        for victim in (STD, ADV)
    ),
]
