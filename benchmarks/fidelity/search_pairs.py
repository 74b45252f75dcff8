"""FAB and Square against pyautoattack, adversarial-library and published medians; Sparse-RS against sigma-zero."""

from __future__ import annotations

from pairs import Pair, Reference
from torch import Tensor, nn

from tiltyard import Norm
from tiltyard_native.attacks import FAB, SparseRS, Square

_THEIRS: dict[Norm, str] = {"linf": "Linf", "l2": "L2", "l1": "L1"}


def pyautoattack_fab(norm: Norm) -> Reference:
    """FAB over all classes, without the cut at eps that its ``perturb`` makes."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from pyautoattack.fab_pt import FABAttack_PT

        attack = FABAttack_PT(victim, norm=_THEIRS[norm], n_iter=100, eps=1.0, device=x.device)
        images: Tensor = attack.attack_single_run(x.clone(), y.clone())
        return images

    return call


def adv_lib_fab(norm: Norm) -> Reference:
    """FAB of adversarial-library."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from adv_lib.attacks import fab

        images: Tensor = fab(victim, x, y, norm={"linf": float("inf"), "l2": 2, "l1": 1}[norm], n_iter=100)
        return images

    return call


def pyautoattack_square(norm: Norm, eps: float, queries: int) -> Reference:
    """Square with as many forwards: the start is one, as with ours."""

    def call(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from pyautoattack.square import SquareAttack

        attack = SquareAttack(victim, norm=_THEIRS[norm], n_queries=queries - 1, eps=eps, device=x.device)
        images: Tensor = attack.perturb(x.clone(), y.clone())
        return images

    return call


def sigma_zero(victim: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient attack sigma-zero, which looks for the fewest values; its published defaults."""
    from adv_lib.attacks import sigma_zero

    images: Tensor = sigma_zero(victim, x, y, num_steps=1000)
    return images


def fab_pairs(victim: str, norm: Norm) -> list[Pair]:
    """Both references, at equal steps."""
    return [
        Pair("fab-100", FAB(), pyautoattack_fab(norm), "pyautoattack", victim, norm),
        Pair("fab-100", FAB(), adv_lib_fab(norm), "adv-lib", victim, norm),
    ]


def square_pair(victim: str, norm: Norm, eps: float, queries: int = 1000) -> Pair:
    """Robust accuracy at equal queries."""
    reference = pyautoattack_square(norm, eps, queries)
    return Pair(f"square-{queries}", Square(queries=queries), reference, "pyautoattack", victim, norm, eps)


ADV, STD, RESNET = "mnist_advertorch_adv", "mnist_advertorch_std", "cifar10_resnet2b"
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
PAIRS = [
    *(pair for victim in (STD, ADV, RESNET) for norm in NORMS for pair in fab_pairs(victim, norm)),
    Pair("fab-100", FAB(), 0.1120, "advertorch", STD, "linf"),
    Pair("fab-100", FAB(), 1.423, "advertorch", STD, "l2"),
    Pair("fab-100", FAB(), 7.61, "advertorch", STD, "l1"),
    Pair("fab-100", FAB(), 0.3509, "advertorch", ADV, "linf"),
    Pair("fab-100", FAB(), 3.04, "advertorch", ADV, "l2"),
    square_pair(STD, "linf", 0.112),
    square_pair(STD, "l2", 2.0),
    square_pair(STD, "l1", 15.0),
    square_pair(ADV, "linf", 0.3),
    square_pair(RESNET, "linf", 2 / 255),
    square_pair(RESNET, "l2", 0.25),
    square_pair(RESNET, "l1", 6.0),
    Pair("sparse_rs-5000", SparseRS(), sigma_zero, "adv-lib", STD, "l0", 12),
]
