"""Auto-PGD, the multi-targeted attack and the standard suite against pyautoattack and adversarial-library."""

from __future__ import annotations

import math
from typing import Any

from pairs import Pair, Reference
from torch import Tensor, nn

from tiltyard import Attack, Norm
from tiltyard_native.attacks import APGD, APGDTargeted, MultiTargeted, Standard

_THEIRS: dict[Norm, str] = {"linf": "Linf", "l2": "L2", "l1": "L1"}
_ORDER: dict[Norm, float] = {"linf": math.inf, "l2": 2.0, "l1": 1.0}


def auto_pgd(norm: Norm, eps: float, loss: str) -> Reference:
    """The authors' APGD with 100 steps; ``loss = "t"`` is the targeted one, towards nine classes."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from pyautoattack import autopgd_base

        keys: dict[str, Any] = {"norm": _THEIRS[norm], "eps": eps, "seed": 0, "use_largereps": norm == "l1"}
        if loss == "t":
            attack = autopgd_base.APGDAttack_targeted(victim, device=x.device, n_target_classes=9, **keys)
        else:
            attack = autopgd_base.APGDAttack(victim, loss=loss, device=x.device, **keys)
        images: Tensor = attack.perturb(x, y)
        return images

    return call


def auto_attack(norm: Norm, eps: float) -> Reference:
    """The whole of AutoAttack 'standard'."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from pyautoattack import AutoAttack

        suite = AutoAttack(victim, norm=_THEIRS[norm], eps=eps, seed=0, device=x.device)
        images: Tensor = suite.run_standard_evaluation(x, y, batch_size=len(x))[0]
        return images

    return call


def adv_lib(name: str, norm: Norm, eps: float, **keys: Any) -> Reference:
    """The Auto-PGD of adversarial-library."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from adv_lib import attacks

        large = norm == "l1"
        images: Tensor = getattr(attacks, name)(victim, x, y, eps, _ORDER[norm], use_large_reps=large, **keys)
        return images

    return call


PLACES: tuple[tuple[str, Norm, float], ...] = (
    ("cifar10_resnet2b", "linf", 4 / 255),
    ("cifar10_resnet2b", "l2", 0.5),
    ("mnist_advertorch_std", "l1", 7.0),
    ("mnist_advertorch_adv", "linf", 0.33),
)
"""Where a fifth to four fifths of the images hold."""

_SEARCHES: tuple[tuple[str, Attack, str], ...] = (
    ("apgd-ce", APGD(loss="ce"), "ce"),
    ("apgd-dlr", APGD(loss="dlr"), "dlr"),
    ("apgd-t", APGDTargeted(), "t"),
    ("multi_targeted vs apgd-t", MultiTargeted(), "t"),
)

CERTIFIED: tuple[tuple[str, str, float, float], ...] = (
    ("mnist_wong_0.1", "Wong & Kolter", 0.1, 100 * 94.2 / 98.2),
    ("cifar10_oval_base", "OVAL", 2 / 255, 100 * 45.46 / 61.2),
)
"""Network, certificate, eps of linf, and the share in % of the images it gets right that provably hold."""

PAIRS = [
    *(
        Pair(name, attack, share, library, victim, "linf", eps, certified=True)
        for victim, library, eps, share in CERTIFIED
        for name, attack in (("apgd-t", APGDTargeted()), ("multi_targeted", MultiTargeted()), ("standard", Standard()))
    ),
    *(
        Pair(name, ours, auto_pgd(norm, eps, loss), "pyautoattack", victim, norm, eps)
        for name, ours, loss in _SEARCHES
        for victim, norm, eps in PLACES
    ),
    *(
        Pair(name, ours, adv_lib(call, norm, eps, **keys), "adv-lib", victim, norm, eps)
        for name, ours, call, keys in (
            ("apgd-ce", APGD(loss="ce"), "apgd", {"loss_function": "ce"}),
            ("apgd-t", APGDTargeted(), "apgd_targeted", {"num_targets": 9}),
        )
        for victim, norm, eps in PLACES[:3]
    ),
    *(
        Pair("standard", Standard(), auto_attack(norm, eps), "pyautoattack", victim, norm, eps)
        for victim, norm, eps in PLACES
    ),
]
