"""A linear victim with known optima, a published network, a trainer small enough to be exact, and digits for it."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiltyard import Batch, Category, Classifier, LabelScheme, Norm, Objective


@dataclass(frozen=True)
class Linear:
    """Scores w (x - 0.5): images and weights scale together, so every sample can be put at one distance."""

    classifier: Classifier
    weight: Tensor  # (K, D), float64

    def distances(self, delta: Tensor, y: int, norm: Norm) -> list[float]:
        """Least norms to reach each other class from 0.5 + delta against ``y`` alone, the box being out of reach."""
        dual = {"linf": 1, "l2": 2, "l1": torch.inf}[norm]
        gaps = self.weight[y] - self.weight[torch.arange(len(self.weight)) != y]
        return sorted((gaps @ delta / gaps.norm(p=dual, dim=1)).tolist())

    def optimum(self, delta: Tensor, y: int, target: int | None, norm: Norm) -> float:
        """Least norm that reaches the goal from 0.5 + delta, the box being out of reach."""
        if target is None:
            return self.distances(delta, y, norm)[0]
        rows = self.weight[torch.arange(len(self.weight)) != target] - self.weight[target]
        return _programme(rows, rows @ delta, norm)

    def batch(self, size: int, norm: Norm, distance: float, targeted: bool, lean: float = 10) -> Batch:
        """Samples (1, 12, 12) that the victim gets right and whose optimum is ``distance`` each.

        Untargeted samples ``lean`` to one of the other classes, so that it is much nearer than the rest.
        """
        generator = torch.Generator().manual_seed(size)
        unit = F.normalize(self.weight, dim=1)
        kept: list[tuple[Tensor, int]] = []  # displacements from 0.5, and labels
        while len(kept) < size:
            own = len(kept) % len(unit)
            delta = torch.randn(unit.shape[1], generator=generator, dtype=torch.float64)
            delta += 20 * unit[own] + (0 if targeted else lean) * unit[own - 1]
            y = int((self.weight @ delta).argmax())
            delta *= distance / self.optimum(delta, y, self._next(y) if targeted else None, norm)
            if float(delta.abs().max()) < 0.3:  # so that the box stays out of reach
                kept.append((delta, y))
        x = (0.5 + torch.stack([delta for delta, _ in kept])).float().view(size, 1, 12, 12)
        labels = torch.tensor([y for _, y in kept])
        return Batch(x, labels, torch.arange(size), self._next(labels) if targeted else None, key="linear")

    def _next(self, y: Any) -> Any:
        return (y + 1) % len(self.weight)


def _programme(rows: Tensor, gaps: Tensor, norm: Norm) -> float:
    """min |d| subject to rows d <= -gaps: linear programmes, and least squares on each active set for l2."""
    from scipy.optimize import linprog

    a, b, size = rows.numpy(), -gaps.numpy(), rows.shape[1]
    if norm == "l2":
        found = []
        for count in range(1, len(a) + 1):
            for active in map(list, combinations(range(len(a)), count)):
                d = np.linalg.pinv(a[active]) @ b[active]
                if (a @ d <= b + 1e-9).all():
                    found.append(float(np.linalg.norm(d)))
        return min(found)
    one = np.eye(size)
    if norm == "linf":
        bound = np.ones((size, 1))
        above = np.block([[a, np.zeros((len(a), 1))], [one, -bound], [-one, -bound]])
        cost = np.r_[np.zeros(size), 1]
    else:
        above = np.block([[a, np.zeros_like(a)], [one, -one], [-one, -one]])
        cost = np.r_[np.zeros(size), np.ones(size)]
    result = linprog(
        cost, above, np.r_[b, np.zeros(2 * size)], bounds=[(None, None)] * size + [(0, None)] * (len(cost) - size)
    )
    return float(result.fun)


@pytest.fixture
def linear() -> Callable[[int], Linear]:
    """Linear victims of (1, 12, 12) images."""

    def make(classes: int) -> Linear:
        weight = torch.randn(classes, 144, generator=torch.Generator().manual_seed(classes), dtype=torch.float64)
        layer = nn.Linear(144, classes)
        with torch.no_grad():
            layer.weight.copy_(1.5 * weight)
            layer.bias.copy_(-0.5 * 1.5 * weight.sum(1))
        classifier = Classifier(nn.Sequential(nn.Flatten(), layer), Category(classes))
        return Linear(classifier.eval().requires_grad_(False), weight)

    return make


Published = Callable[[slice, str], tuple[Classifier, Batch]]


@pytest.fixture(scope="session")
def published(shared_data: Path) -> Published:
    """advertorch's LeNet-5 for MNIST, trained without defence, with those of a slice of the test images it gets right.

    Called with the slice and the key of the batch.
    """
    spec = importlib.util.spec_from_file_location("architectures", shared_data / "checkpoints" / "architectures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = Classifier(module.load("mnist_advertorch_std"), Category(10)).eval().requires_grad_(False)

    def read(name: str, header: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((shared_data / "mnist" / name).read_bytes()), np.uint8, offset=header)

    pixels = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = read("t10k-labels-idx1-ubyte.gz", 8)

    def make(part: slice, key: str) -> tuple[Classifier, Batch]:
        x = torch.tensor(pixels[part], dtype=torch.float32) / 255
        y = torch.tensor(labels[part], dtype=torch.int64)
        return network, Batch(x, y, torch.arange(len(y)), key=key)[network(x).argmax(1) == y]

    return make


@dataclass
class TinyTrainer:
    """A trainer on images in memory: full-batch Adam, a fresh network from one seed each time."""

    x: Tensor
    y: Tensor
    held_out: tuple[Tensor, Tensor]
    classes: int
    steps: int = 200
    keys: list[str] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)  # one list of mean losses per fit

    @property
    def scheme(self) -> LabelScheme:
        return Category(self.classes)

    def __call__(self, objective: Objective | None = None, *, key: str = "") -> Classifier:
        self.keys.append(key)
        self.losses.append([])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = nn.Sequential(
                nn.Flatten(), nn.Linear(self.x[0].numel(), 64), nn.ReLU(), nn.Linear(64, self.classes)
            )
        classifier = Classifier(network, self.scheme)
        optimiser = torch.optim.Adam(classifier.parameters(), lr=0.01)
        for _ in range(self.steps):
            losses = classifier.loss(self.x, self.y) if objective is None else objective(classifier, self.x, self.y)
            optimiser.zero_grad()
            losses.mean().backward()
            self.losses[-1].append(float(losses.detach().mean()))
            optimiser.step()
        return classifier.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor]:
    """The 1,797 digits (1, 8, 8) of scikit-learn, in [0, 1], in one random order."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(data.images).float().div(16).unsqueeze(1)[order]
    return x, torch.from_numpy(data.target).long()[order]


@pytest.fixture
def trainer(digits: tuple[Tensor, Tensor]) -> TinyTrainer:
    """600 digits to fit, 597 held out; the last 600 are for the test."""
    x, y = digits
    return TinyTrainer(x[:600], y[:600], (x[600:1197], y[600:1197]), 10)
