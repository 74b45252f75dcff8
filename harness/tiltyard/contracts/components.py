"""What a plugin's components promise. They are protocols: a component inherits from nothing.

Any component may have a ``remark``, which is shown behind its name wherever its results are, and a method
``refuse(setting)``, which says why it cannot take part in a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor, nn

from .batch import Batch
from .classifier import Classifier
from .data import Data, Files
from .labels import LabelScheme
from .threat import Goal, Norm, Threat

Access = Literal["gradients", "scores", "decisions", "images"]
Objective = Callable[[Classifier, Tensor, Tensor], Tensor]
Head = Callable[[int], nn.Module]


class Incompatible(Exception):  # noqa: N818 - it is no error of anybody's
    """Raised by a component that cannot do what a cell asks; the cell is recorded as skipped with the reason."""


class Dataset(Protocol):
    """A source of images. ``classes`` is the number of classes where it is known without reading the data.

    ``outline(files) -> Outline``, where it exists, tells without decoding anything what ``bench plan`` reckons hours
    from; it may raise as a call does.
    """

    @property
    def classes(self) -> int | None: ...

    def __call__(self, files: Files) -> Data:
        """Decode the data once; raises ``MissingFile``, or ``ValueError`` on a wrong checksum or shape."""


class Model(Protocol):
    """An architecture, without input normalisation (the harness puts it in front)."""

    def __call__(self, shape: tuple[int, int, int], head: Head) -> nn.Module:
        """A network for images of ``shape`` (C, H, W); ``head(features)`` makes its last layer."""


class Labels(Protocol):
    """A recipe for a codebook. ``category`` says that the outputs are the logits of a cross-entropy."""

    @property
    def category(self) -> bool: ...

    def __call__(self, classes: tuple[str, ...], files: Files) -> LabelScheme:
        """The scheme for classes of these names, in the order of the label numbers."""


class Trainer(Protocol):
    """Fits networks for a defence; every fit is kept in the store and shared by whoever asks for the same."""

    scheme: LabelScheme

    def __call__(self, objective: Objective | None = None, *, key: str = "") -> Classifier:
        """A trained classifier in eval mode, its parameters frozen.

        Without an objective it is the undefended network. ``objective(classifier, x, y)`` returns the losses
        (N,) to descend; ``key`` must then name the objective with all its parameters, since it identifies
        the fit in the store. Raises ``Incompatible`` where the weights were given and nothing is trained.
        """

    @property
    def held_out(self) -> tuple[Tensor, Tensor]:
        """Clean images (N, C, H, W) in [0, 1] and labels that no network was fitted to, on the right device."""


class Defence(Protocol):
    """Anything between plain training and a defended classifier.

    For the hours of ``bench plan`` it may tell ``fits``, how many networks of its own it trains (0: it takes the
    undefended one), and ``views``, how many images the network sees for one.
    """

    def __call__(self, train: Trainer) -> Classifier: ...


class Attack(Protocol):
    """A search for an adversarial image of each sample.

    Only ``norms`` must be declared; ``ATTACK_DEFAULTS`` holds what the others are where a class is silent.
    ``passes(classes)``, where it exists, tells the forwards and backwards it spends on a sample at most.
    """

    norms: ClassVar[frozenset[Norm]]

    def __call__(self, victim: Any, batch: Batch, threat: Threat) -> Tensor:
        """Images of the shape of ``batch.x``.

        ``victim(x)`` gives scores (N, K) whose margin is negative exactly where the adversary wins, a
        detector's rejection included; ``victim.loss(x, y)`` is the scheme's own loss. Under
        ``threat.units == "normalised"`` images are the network's own inputs, and lie in no box. It is pure: no global
        random state, no mode changes, no parameter gradients, no prints.
        """


ATTACK_DEFAULTS: dict[str, Any] = {
    "minimal": False,  # True: ignores eps and looks for the nearest adversarial image
    "targeted": False,  # True: obeys batch.target
    # What it asks for: the victim's gradients, scores or decisions, or images that broke other victims (batch.found).
    "access": "gradients",
    # What eps may be measured in: "pixels", with images in [0, 1], or "normalised", behind the network's normalisation.
    "units": frozenset({"pixels"}),
    "defects": (),  # Properties of docs/doctor.md that it is known to lack.
}


def declared(attack: Attack, name: str) -> Any:
    """What an attack declares under ``name``, or the default."""
    return getattr(attack, name, ATTACK_DEFAULTS[name])


@dataclass(frozen=True)
class Setting:
    """The components of one cell, for ``refuse(setting) -> str | None``, which any component may define.

    It is asked when the matrix is planned, before anything is loaded or trained; a sentence that it returns
    is the reason for which the cell is skipped. ``trained`` is False where weights were given.
    """

    dataset: Dataset
    model: Model
    labels: Labels
    defence: Defence | None
    attack: Attack
    norm: Norm
    goal: Goal
    trained: bool = True
