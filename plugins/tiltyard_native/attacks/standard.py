"""The suite of attacks that leaves nothing to choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tiltyard import Batch, Norm, Threat, Victim

from .apgd import APGD
from .apgd_targeted import APGDTargeted
from .fab import FAB
from .multi_targeted import MultiTargeted
from .region import NORMS, finite
from .sigma_zero import SigmaZero
from .sparse_rs import SparseRS
from .square import Square
from .standard_cascade import Cascade

_EOT = 20  # gradients averaged against a randomised victim, as in the paper's code

UNTARGETED = Cascade(
    (APGD(loss="ce"), MultiTargeted(targets=9), APGDTargeted(targets=9), FAB(targets=9), Square(queries=5000))
)
UNTARGETED_L1 = Cascade(
    (
        APGD(loss="ce", restarts=5),
        MultiTargeted(targets=9),
        APGDTargeted(targets=5),
        FAB(targets=9),
        Square(queries=5000),
    )
)
TARGETED = Cascade((APGD(loss="ce"), APGD(loss="margin"), APGD(loss="dlr"), FAB(), Square(queries=5000)))
RANDOMISED = Cascade((APGD(loss="ce", eot=_EOT), APGD(loss="dlr", eot=_EOT)), _EOT)
SPARSE = Cascade((SigmaZero(steps=1000), SparseRS()))
SPARSE_RANDOMISED = Cascade((SigmaZero(steps=100, eot=_EOT),), _EOT)


@dataclass(frozen=True)
class Standard:
    """A fixed suite for each threat, one attack after another on the samples that are still whole; it has no keys.

    As AutoAttack has it for l-infinity, l2 and l1 (Croce & Hein 2020, "Reliable Evaluation of Adversarial
    Robustness with an Ensemble of Diverse Parameter-free Attacks", arXiv 2003.01690): APGD on cross-entropy,
    APGD-T and FAB-T towards nine classes, and 5,000 queries of Square; and the multi-targeted attack before
    APGD-T; under l1 five restarts and five classes for APGD, as there. Targeted, each searches towards the target
    alone. Under l0: sigma-zero and Sparse-RS. Against randomised victims two APGD with the gradients of 20 draws
    averaged, sigma-zero likewise under l0.
    """

    norms: ClassVar[frozenset[Norm]] = NORMS | {"l0"}
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    def passes(self, classes: int) -> tuple[int, int]:
        """Forwards and backwards per sample at most, whatever the norm, the goal and the victim."""
        suites = (UNTARGETED, UNTARGETED_L1, TARGETED, RANDOMISED, SPARSE, SPARSE_RANDOMISED)
        forwards, backwards = zip(*(suite.passes(classes) for suite in suites), strict=True)
        return max(forwards), max(backwards)

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images within ``threat.eps``."""
        finite(threat, "standard")
        return suite(threat, victim.randomised, batch.target is not None)(victim, batch, threat)


def suite(threat: Threat, randomised: bool, targeted: bool) -> Cascade:
    """What is run against whom."""
    if threat.norm == "l0":
        return SPARSE_RANDOMISED if randomised else SPARSE
    if randomised:
        return RANDOMISED
    if targeted:
        return TARGETED
    return UNTARGETED_L1 if threat.norm == "l1" else UNTARGETED
