"""The one face of a model, whatever its labels and its defence."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .labels import LabelScheme


class Outputs(NamedTuple):
    """What one forward tells: scores (N, K), and the rejection margin (N,) of a detector, positive = rejected."""

    scores: Tensor
    rejection: Tensor | None = None


class Classifier(nn.Module):
    """A network and its label scheme: images (N, C, H, W) in [0, 1] to scores (N, K).

    A defence returns this class or a subclass that overrides ``outputs``. Where a step of the defence has no
    useful gradient, its backward pass is the attacker's best stand-in (straight-through), so that the same
    object serves prediction and adaptive attacks. ``randomised`` says that two calls may differ.
    """

    randomised: bool = False

    def __init__(self, network: nn.Module, scheme: LabelScheme) -> None:
        super().__init__()
        self.network = network
        self.scheme = scheme

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return self.scheme.classes

    def outputs(self, x: Tensor) -> Outputs:
        """Scores and rejection margin of ``x`` from one forward."""
        return Outputs(self.scheme.scores(self.raw(x)))

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The label scheme's own training loss (N,) of images ``x`` with labels ``y``."""
        return self.scheme.loss(self.raw(x), y)

    def raw(self, x: Tensor) -> Tensor:
        """Outputs (N, *shape) of the network itself, before the label scheme; what a defence adds is not in them."""
        output: Tensor = self.network(x)
        return output

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K)."""
        return self.outputs(x).scores


def margin(scores: Tensor, y: Tensor, target: Tensor | None = None) -> Tensor:
    """Signed distance (N,) to the adversary's goal in score units, negative exactly when it is reached.

    Untargeted: the label's score less the best other one. Targeted: the best other score less the target's.
    """
    wanted = (y if target is None else target).unsqueeze(1)
    own = scores.gather(1, wanted).squeeze(1)
    other = scores.scatter(1, wanted, -torch.inf).amax(1)
    return own - other if target is None else other - own
