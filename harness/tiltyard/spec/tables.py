"""The tables of a benchmark file that the harness itself reads."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from ..contracts.threat import Goal, Knowledge, Norm, Radius, Units
from ..parameters import Table

AXES = {
    "dataset": "datasets",
    "model": "models",
    "labels": "label_schemes",
    "defence": "defences",
    "attack": "attacks",
}
"""The axes whose tables name components, and the kind of component that each holds."""

TOP_LEVEL = ("benchmark", "training", *AXES, "threat", "include", "exclude")
"""The tables of a benchmark file."""

Targets = Literal["random", "next", "least_likely", "all"]
Precision = Literal["full", "search_bf16"]


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("is empty; name at least one value")
    if len(set(values)) < len(values):
        raise ValueError("names a value twice")
    return values


def _file_name(name: str) -> str:
    if (
        not name
        or set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        or name[0] == "."
    ):
        raise ValueError("names the results folder: use letters, digits, '.', '_' and '-' only")
    return name


class Benchmark(Table):
    """``[benchmark]``: what is common to all cells."""

    name: Annotated[str, AfterValidator(_file_name)] | None = None
    """Name of the results folder; the file's name without ``.toml`` if absent."""
    description: str = ""
    seeds: Annotated[tuple[NonNegativeInt, ...], AfterValidator(_distinct)] = (0,)
    """Each seed trains and attacks anew."""
    fractions: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], AfterValidator(_distinct)] | None = None
    """Each is a ``training.fraction`` that trains and attacks anew: a curve of data efficiency."""
    samples: PositiveInt = 1000
    """Test images per cell; all of them where the test set is smaller."""
    sampling: Literal["random", "first"] = "random"
    """Which ones: one fixed random choice, the same for all cells, or the first in order."""
    batch_size: PositiveInt = 128
    """Images attacked at a time; results do not depend on it."""
    precision: Precision = "full"
    """Whether attacks search in bfloat16 first, and in full precision on what that leaves; verdicts are in full."""
    time_limit: PositiveFloat = 3600.0
    """Seconds that an attack may spend on a batch; its samples then have the status ``timeout``."""
    keep_images: bool = True
    """Whether the images that broke a victim are kept: for ``bench bundle`` and for transfer attacks."""
    doctor: bool = True
    """Whether every attack is put to the health checks before its first cell (docs/doctor.md)."""
    masking: bool = True
    """Whether every victim is probed for signs that it hides its gradient (docs/masking.md)."""
    escalate: bool = False
    """Whether the harness answers such signs by itself, with further attacks."""


class Training(Table):
    """``[training]``: how a network is fitted."""

    epochs: PositiveInt = 10
    full_epochs: bool = False
    """Whether an epoch has as many steps for every ``fraction`` as for all images; else it is one pass over its own."""
    batch_size: PositiveInt = 128
    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: PositiveFloat = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 5e-4
    schedule: Literal["constant", "cosine", "multistep", "one_cycle"] = "cosine"
    milestones: tuple[PositiveInt, ...] = ()
    """Epochs after which ``multistep`` multiplies the learning rate by ``gamma``."""
    gamma: PositiveFloat = 0.1
    augment: tuple[Literal["crop", "flip"], ...] = ()
    """``crop``: zero-pad by an eighth of the side and crop at random; ``flip``: mirror half of the images."""
    amp: bool = False
    """Mixed precision (bfloat16 autocast) in training only."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the training images held out, class by class: they select the epoch and fit thresholds."""
    select: Literal["accuracy", "loss", "last"] = "accuracy"
    """Which epoch is kept: best validation accuracy or loss, or the last. Never the test images."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the training images that is used, after the held-out ones are set aside."""
    stratified: bool = True
    """Whether ``fraction`` takes the same share of every class."""

    @property
    def identity(self) -> dict[str, Any]:
        """What of it changes a network; a key that is not in use stands for nothing, so older fits are still known."""
        kept = self.model_dump()
        return kept if self.full_epochs else {key: value for key, value in kept.items() if key != "full_epochs"}


def _radius(value: float) -> float:
    if value <= 0:
        raise ValueError("must be above 0")
    return value


class ThreatTable(Table):
    """``[[threat]]``: what the attacker may do. Several ``eps`` make one row each."""

    name: str | None = None
    norm: Norm
    eps: Annotated[
        tuple[Annotated[Radius, AfterValidator(_radius)], ...],
        BeforeValidator(_listed, json_schema_input_type=Radius | tuple[Radius, ...]),
        AfterValidator(_distinct),
    ]
    goal: Goal = "untargeted"
    targets: Targets = "random"
    """Targets of a targeted attack: one at random, the next class, the least likely, or every other class."""
    units: Units = "pixels"
    """What eps is measured in: pixels of images in [0, 1], or the network's normalised inputs, which lie in no box."""
    knowledge: Knowledge = "adaptive"
    """``adaptive`` sees the defence, ``oblivious`` attacks the undefended network, ``transfer`` another seed's."""

    @property
    def metric(self) -> str:
        """The norm, and the units where they are not pixels."""
        return self.norm if self.units == "pixels" else f"{self.norm} {self.units}"

    def problem(self) -> str | None:
        """What is wrong with the combination of keys."""
        if self.units == "normalised" and self.norm not in ("linf", "l2"):
            return f'units = "normalised" is for norm = "linf" or "l2", not "{self.norm}"'
        if self.units == "normalised" and self.knowledge != "adaptive":
            return 'units = "normalised" is for knowledge = "adaptive": two networks may be normalised differently'
        if self.units == "pixels" and self.norm == "linf" and max(self.eps) > 1:
            return f"eps = {max(self.eps)} under linf: images lie in [0, 1], so eps is at most 1 (8/255, not 8)"
        if self.norm == "l0" and any(eps != math.floor(eps) for eps in self.eps):
            return "eps under l0 is a number of values: write whole numbers"
        if self.goal == "untargeted" and "targets" in self.model_fields_set:
            return 'targets are for goal = "targeted"'
        return None


class Statistics(Table):
    """Explicit input normalisation: one mean and one standard deviation per channel."""

    mean: tuple[float, ...]
    std: tuple[PositiveFloat, ...]


class Host(Table):
    """Keys that every axis table takes beside its component's own."""

    use: str
    name: str | None = None


class ModelHost(Host):
    """Keys that every ``[[model]]`` takes beside its architecture's own."""

    normalise: Literal["data", "none", "imagenet"] | Statistics = "data"
    """Input normalisation inside the network: the training images' statistics, none, ImageNet's, or given ones."""
    weights: str | None = None
    """A local checkpoint, ``.safetensors`` or a ``.pt``/``.pth``/``.th`` of tensors only; nothing is trained then."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Prefixes of the checkpoint's keys and what they become, applied in order: ``{"module." = ""}``."""
    finetune: bool = False
    """Train on from ``weights`` instead of taking them as they are."""
