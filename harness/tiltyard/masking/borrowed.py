"""An attack that sees the victim's values and another network's gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..contracts import Attack, Batch, Classifier, Norm, Outputs, Threat
from ..victim import Victim, outputs


@dataclass(frozen=True)
class Borrowed:
    """``attack`` on the values of its victim and the gradient of the network that ``lend`` gives.

    The backward pass differentiable approximation of Athalye et al. 2018, "Obfuscated Gradients Give a False Sense
    of Security", arXiv 1802.00420, with the whole undefended network as the approximation.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"linf", "l2", "l1"})
    minimal: ClassVar[bool] = False
    targeted: ClassVar[bool] = True
    access: ClassVar[str] = "gradients"

    attack: Attack
    lend: Callable[[], Classifier]

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """What the attack returns."""
        straight = Victim(StraightThrough(victim.classifier, self.lend()), batch)
        images = self.attack(straight, batch, threat)
        victim.forwards += straight.forwards
        victim.backwards += straight.backwards
        return images


class StraightThrough(Classifier):
    """The values of ``classifier`` and the gradient of ``lender``."""

    def __init__(self, classifier: Classifier, lender: Classifier) -> None:
        super().__init__(classifier.network, classifier.scheme)
        self.classifier = classifier
        self.lender = lender
        self.randomised = classifier.randomised

    def outputs(self, x: Tensor) -> Outputs:
        """Scores (N, K) and rejection (N,): a detector keeps its own gradient, if it has one."""
        scores, rejection = outputs(self.classifier, x)
        lent = outputs(self.lender, x).scores
        return Outputs(lent + (scores - lent).detach(), rejection)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The lender's own loss (N,)."""
        return self.lender.loss(x, y)
