"""What wrapping costs: each wrapped attack through the adapter against the library's own call, on one network.

    python benchmarks/perf/overhead.py [--rounds 7] [--samples 64] [--only torchattacks]

All calls of a round run one after the other in this process, in an order that changes from round to round; a ratio is
the median over rounds of CPU time by CPU time of the same round. ``adapter`` is victim and adapter, ``guarded`` the
same under the guard that the harness puts around every call, ``bare`` the library on the same frozen network.
``unfrozen`` is the library on a network whose parameters are not frozen, which is how it is called by itself: ART
then computes parameter gradients that nobody reads.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchattacks
from art.attacks import evasion
from art.estimators.classification import PyTorchClassifier
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import tiltyard_art
import tiltyard_torchattacks
from tiltyard import Attack, Batch, Category, Classifier, Norm, Threat, Victim
from tiltyard.guard import untouched

EPS: dict[Norm, float] = {"linf": 8 / 255, "l2": 0.5}
TARGET = 1.10


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.short = nn.Conv2d(width, out, 1, stride, bias=False) if width != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


def resnet20() -> nn.Module:
    """ResNet-20 with random weights: the work of an attack, not its result, is what is timed."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    width = 16
    for out in (16, 32, 64):
        for block in range(3):
            layers.append(Block(width, out, 2 if block == 0 and out != 16 else 1))
            width = out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers).eval()


@dataclass(frozen=True)
class Case:
    """An attack of ours and the bare call of the library that does the same."""

    name: str
    attack: Attack
    bare: Callable[[nn.Module, Tensor, Tensor, float], object]
    norm: Norm = "linf"


def torchattacks_call(name: str, **keys: Any) -> Callable[[nn.Module, Tensor, Tensor, float], object]:
    def call(network: nn.Module, x: Tensor, y: Tensor, eps: float) -> object:
        return getattr(torchattacks, name)(network, eps=eps, **keys)(x, y)

    return call


def art_call(name: str, **keys: Any) -> Callable[[nn.Module, Tensor, Tensor, float], object]:
    def call(network: nn.Module, x: Tensor, y: Tensor, eps: float) -> object:
        estimator = PyTorchClassifier(
            network,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=10,
            clip_values=(0.0, 1.0),
            device_type="cpu",
        )
        return getattr(evasion, name)(estimator, eps=eps, batch_size=len(x), **keys).generate(x.numpy(), y.numpy())

    return call


def cases() -> Iterator[Case]:
    """Ten steps each: enough to see the cost of a step, and the hardest case for the cost of a call."""
    ours: dict[str, Any] = tiltyard_torchattacks.attacks()
    yield Case("torchattacks.fgsm", ours["fgsm"](), torchattacks_call("FGSM"))
    pgd = {"alpha": 2 / 255, "steps": 10}
    yield Case("torchattacks.pgd", ours["pgd"](steps=10, step_size=2 / 255), torchattacks_call("PGD", **pgd))
    yield Case("torchattacks.apgd", ours["apgd"](steps=10), torchattacks_call("APGD", steps=10))
    square = torchattacks_call("Square", n_queries=20)
    yield Case("torchattacks.square", ours["square"](queries=20), square)
    ours = tiltyard_art.attacks()
    yield Case("art.fgm", ours["fgm"](), art_call("FastGradientMethod"))
    step = {"eps_step": 2 / 255, "max_iter": 10, "num_random_init": 1, "verbose": False}
    bare = art_call("ProjectedGradientDescent", **step)
    yield Case("art.pgd", ours["pgd"](steps=10, step_size=2 / 255), bare)
    step = {"eps_step": 16 / 255, "max_iter": 10, "nb_random_init": 1, "verbose": False}
    yield Case("art.apgd", ours["apgd"](steps=10), art_call("AutoProjectedGradientDescent", **step))


def adapter(classifier: Classifier, attack: Attack, batch: Batch, threat: Threat) -> Tensor:
    """Our call as an attack sees it."""
    return attack(Victim(classifier, batch), batch, threat)


def guarded(classifier: Classifier, attack: Attack, batch: Batch, threat: Threat) -> Tensor:
    """Our call as the harness makes it."""
    with untouched(classifier):
        return attack(Victim(classifier, batch), batch, threat)


def contenders(case: Case, batch: Batch) -> dict[str, Callable[[], object]]:
    """The calls that are timed against each other, on equal networks."""
    torch.manual_seed(0)
    frozen = resnet20().requires_grad_(False)
    loose = copy.deepcopy(frozen).requires_grad_(True)
    classifier, threat = Classifier(frozen, Category(10)).eval(), Threat(case.norm, EPS[case.norm])
    return {
        "bare": lambda: case.bare(frozen, batch.x, batch.y, threat.eps),
        "unfrozen": lambda: case.bare(loose, batch.x, batch.y, threat.eps),
        "adapter": lambda: adapter(classifier, case.attack, batch, threat),
        "guarded": lambda: guarded(classifier, case.attack, batch, threat),
    }


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each call in each round; one round before them is thrown away."""
    names, seconds = list(calls), {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            torch.manual_seed(turn)
            np.random.seed(turn)
            begin = time.process_time()
            calls[name]()
            if turn:
                seconds[name].append(time.process_time() - begin)
    return seconds


def right_samples(samples: int) -> Batch:
    """Random images with the labels that the network gives them."""
    torch.manual_seed(0)
    network = resnet20()
    x = torch.rand(samples, 3, 32, 32)
    with torch.no_grad():
        return Batch(x, network(x).argmax(1), torch.arange(samples), key="overhead")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--samples", type=int, default=64, help="images in the batch")
    parser.add_argument("--only", default="", help="attacks whose names begin so")
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch = right_samples(options.samples)
    table = Table("attack", "bare s", "adapter s", "adapter / bare", "guarded / bare", "adapter / unfrozen", "verdict")
    for case in cases():
        if case.name.startswith(options.only):
            seconds = measure(contenders(case, batch), options.rounds)
            table.add_row(case.name, *row(seconds))
    Console(width=110).print(table)


def row(seconds: dict[str, list[float]]) -> list[str]:
    """Median times and ratios in words."""

    def ratio(above: str, below: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))

    adapted = ratio("adapter", "bare")
    times = [f"{statistics.median(seconds[name]):.3f}" for name in ("bare", "adapter")]
    ratios = [adapted, ratio("guarded", "bare"), ratio("adapter", "unfrozen")]
    return [*times, *(f"{value:.3f}" for value in ratios), "ok" if adapted <= TARGET else f"over {TARGET}"]


if __name__ == "__main__":
    main()
