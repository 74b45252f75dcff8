"""Where the implementations meet: trained networks, images they get right, and an eps at which half of them fall."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, Norm, Threat, Victim, distance, pixels
from tiltyard.plugins import Plugins
from tiltyard.results import Store
from tiltyard.spec import Plan, plan
from tiltyard.victims import Victims
from tiltyard_native.attacks import DDN, FMN

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "fidelity"))  # the published networks and the references are those of that table

from victims import network as published  # noqa: E402
from victims import samples  # noqa: E402

Loaded = tuple[nn.Module, Tensor, Tensor]


@dataclass(frozen=True)
class Place:
    """A network by name, ``count`` images for the cheapest row, and eps by norm, ``None`` to have it looked for.

    ``load(data, fits, device, count)`` gives the network, frozen and in eval mode, images (N, C, H, W) in [0, 1]
    that it gets right, and their labels. A ``small`` network also meets implementations that take very long, a
    ``large`` one on a processor does not meet the attacks that take very long.
    """

    name: str
    load: Callable[[Path | None, Path, torch.device, int], Loaded]
    count: int
    eps: Mapping[Norm, float] | None = field(default=None, hash=False)
    small: bool = False
    large: bool = False


def half_broken(loaded: Loaded, norm: Norm) -> float:
    """The eps, to two digits, within which a search for the nearest image finds one for half of the images."""
    network, x, y = loaded
    with torch.no_grad():
        classifier = Classifier(network, Category(network(x[:1]).shape[1])).eval()
    batch = Batch(x, y, torch.arange(len(x), device=x.device))
    attack = FMN(steps=50) if norm == "linf" else DDN(steps=50)
    images = attack(Victim(classifier, batch), batch, Threat(norm))
    return float(f"{distance(images - x, norm).median():.2g}")


def from_paper(name: str) -> Callable[[Path | None, Path, torch.device, int], Loaded]:
    """A published network of the fidelity table, and its images."""

    def load(data: Path | None, fits: Path, device: torch.device, count: int) -> Loaded:
        if data is None:
            raise SystemExit(f"{name}: name a folder with published networks by --data or $TILTYARD_DATA")
        x, y = samples(data, name, count)  # chosen on the processor, where the network then is
        return published(data, name).to(device), x.to(device), y.to(device)

    return load


def trained(study: Path) -> Callable[[Path | None, Path, torch.device, int], Loaded]:
    """The first network of a benchmark file, trained once into ``fits``."""

    def load(data: Path | None, fits: Path, device: torch.device, count: int) -> Loaded:
        made = plan(study, Plugins(), data)
        store = Store(fits / study.stem)
        with store.locked():
            return _right(made, Victims(made, store, device, lambda event: print(" ", event, flush=True)), count)

    return load


def _right(made: Plan, victims: Victims, count: int) -> Loaded:
    """Test images that the network gets right, spread evenly over the test set."""
    victim = made.cells[0].victim
    network, test = victims.classifier(victim).network, victims.data(victim.dataset).test
    x, y = pixels(test.images).to(victims.device), test.labels.to(victims.device)
    with torch.no_grad():
        right = (torch.cat([network(part).argmax(1) for part in x.split(256)]) == y).nonzero().squeeze(1)
    chosen = right[torch.linspace(0, len(right) - 1, min(count, len(right))).round().long()]
    return network, x[chosen], y[chosen]


PLACES = (
    Place("resnet18", trained(HERE / "resnet18.toml"), 16, large=True),
    Place("cifar10_resnet20", from_paper("cifar10_resnet20"), 128, {"linf": 0.65 / 255, "l2": 0.092}),
    Place("mnist_advertorch_std", from_paper("mnist_advertorch_std"), 256, {"linf": 0.112, "l2": 1.388}, small=True),
)
"""ResNet-18 is trained for the purpose; the others are published. Half of the images fall at these eps."""

WITHOUT_DATA = (Place("digits_cnn", trained(HERE / "digits.toml"), 64, small=True),)
"""What there is without a folder of images."""


def places(data: Path | None) -> tuple[Place, ...]:
    """The networks that can be had."""
    return WITHOUT_DATA if data is None else PLACES
