"""The rows: one attack each by every implementation that has it, with equal steps, step sizes and starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import places  # noqa: F401 - finds the folder of the next two lines
from autoattack_pairs import auto_attack
from pairs import Reference
from rivals import LINF, STEP, adv_lib, art, auto_pgd, foolbox, torchattacks

from tiltyard import Attack, Norm
from tiltyard_art import bounded as tiltyard_art
from tiltyard_native.attacks import APGD, CW, DDN, PGD, APGDTargeted, MultiTargeted, Standard
from tiltyard_torchattacks import bounded as tiltyard_torchattacks

OURS = "tiltyard"
MODULES = {
    "torchattacks": ("torchattacks",),
    "art": ("art.attacks.evasion", "art.estimators.classification"),
    "foolbox": ("foolbox",),
    "adv-lib": ("adv_lib.attacks",),
    "pyautoattack": ("pyautoattack",),
}
"""What each peer is imported as."""


@dataclass(frozen=True)
class Contest:
    """One attack by several implementations.

    ``ours(eps)`` is tiltyard's attack, ``peers`` the same for the others. ``gradients`` is what the attack may
    spend on an image, 0 where that is not a number that it is given; ``share`` of a place's images are attacked.
    ``patient`` names peers that only meet small networks, because they take very long; ``long`` keeps the whole
    row from large networks on a processor.
    """

    name: str
    norm: Norm
    gradients: int
    ours: Mapping[str, Callable[[float], Attack]]
    peers: Mapping[str, Callable[[float], Reference]]
    share: float = 1.0
    minimal: bool = False
    patient: frozenset[str] = frozenset()
    long: bool = False


def pgd(steps: int, restarts: int) -> Contest:
    """Projected gradient descent on cross-entropy from uniform starts."""

    def stride(eps: float) -> float:
        return STEP * eps / steps

    wrapped: dict[str, Callable[[float], Attack]] = {
        f"{OURS} torchattacks.pgd": lambda eps: tiltyard_torchattacks.PGD(steps=steps, step_size=stride(eps)),
        f"{OURS} art.pgd": lambda eps: tiltyard_art.PGD(steps=steps, step_size=stride(eps)),
    }
    return Contest(
        f"pgd-{steps}" + (f" x{restarts}" if restarts > 1 else ""),
        "linf",
        steps * restarts,
        {
            OURS: lambda eps: PGD(steps=steps, step_size=stride(eps), restarts=restarts, loss="ce"),
            **({} if restarts > 1 else {f"{OURS} as it comes": lambda eps: PGD(steps=steps)} | wrapped),
        },
        {
            "torchattacks": lambda eps: torchattacks("PGD", eps=eps, alpha=stride(eps), steps=steps, restarts=restarts),
            "art": lambda eps: art(
                "ProjectedGradientDescent", eps=eps, eps_step=stride(eps), max_iter=steps, num_random_init=restarts
            ),
            "foolbox": lambda eps: foolbox("LinfPGD", eps, restarts, abs_stepsize=stride(eps), steps=steps),
            "adv-lib": lambda eps: adv_lib(
                "pgd_linf", eps, steps=steps, restarts=restarts, absolute_step_size=stride(eps)
            ),
        },
        share=1.0 if restarts == 1 else 0.25,
    )


def _apgd(steps: int) -> Contest:
    return Contest(
        f"apgd-ce-{steps}",
        "linf",
        steps,
        {OURS: lambda eps: APGD(steps=steps, loss="ce")},
        {
            "torchattacks": lambda eps: torchattacks("APGD", eps=eps, steps=steps, loss="ce"),
            "art": lambda eps: art(
                "AutoProjectedGradientDescent",
                eps=eps,
                eps_step=2 * eps,
                max_iter=steps,
                nb_random_init=1,
                loss_type="cross_entropy",
            ),
            "adv-lib": lambda eps: adv_lib("apgd", eps, LINF, n_iter=steps, loss_function="ce"),
            "pyautoattack": lambda eps: auto_pgd(eps, steps),
        },
        share=0.25,
    )


def _towards_nine(steps: int) -> Contest:
    return Contest(
        f"apgd-t-9x{steps}",
        "linf",
        9 * steps,
        {
            OURS: lambda eps: APGDTargeted(steps=steps, targets=9),
            f"{OURS} multi_targeted": lambda eps: MultiTargeted(steps=steps, targets=9),
        },
        {
            "torchattacks": lambda eps: torchattacks("APGDT", eps=eps, steps=steps),
            "adv-lib": lambda eps: adv_lib("apgd_targeted", eps, LINF, n_iter=steps, num_targets=9),
            "pyautoattack": lambda eps: auto_pgd(eps, steps, targets=9),
        },
        share=0.25,
    )


def _ddn(steps: int) -> Contest:
    return Contest(
        f"ddn-{steps}",
        "l2",
        steps,
        {OURS: lambda eps: DDN(steps=steps)},
        {
            "foolbox": lambda eps: foolbox("DDNAttack", steps=steps),
            "adv-lib": lambda eps: adv_lib("ddn", steps=steps, levels=None),
        },
        share=0.25,
        minimal=True,
    )


def _cw(searches: int, steps: int) -> Contest:
    return Contest(
        f"cw-{searches}x{steps}",
        "l2",
        searches * steps,
        {OURS: lambda eps: CW(steps=steps, binary_search_steps=searches, step_size=0.05)},
        {
            "torchattacks": lambda eps: torchattacks("CW", steps=searches * steps, lr=0.05),
            "art": lambda eps: art(
                "CarliniL2Method", binary_search_steps=searches, max_iter=steps, learning_rate=0.05, initial_const=0.1
            ),
            "foolbox": lambda eps: foolbox(
                "L2CarliniWagnerAttack", binary_search_steps=searches, steps=steps, stepsize=0.05, initial_const=0.1
            ),
            "adv-lib": lambda eps: adv_lib(
                "carlini_wagner_l2",
                binary_search_steps=searches,
                max_iterations=steps,
                learning_rate=0.05,
                initial_const=0.1,
            ),
        },
        share=0.25,
        minimal=True,
        patient=frozenset({"art"}),
    )


CONTESTS = (
    pgd(20, 1),
    pgd(20, 5),
    _apgd(100),
    _towards_nine(20),
    _ddn(100),
    _cw(3, 20),
    Contest(
        "standard",
        "linf",
        0,
        {OURS: lambda eps: Standard()},
        {"pyautoattack": lambda eps: auto_attack("linf", eps)},
        share=0.125,
        long=True,
    ),
)
