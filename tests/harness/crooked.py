"""An honest network on real digits, and the same network hiding its gradient in every known way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiltyard import Category, Classifier, Files, LabelScheme, Outputs
from tiltyard.plugins import Plugins


@dataclass(frozen=True)
class Digits:
    """Images in [0, 1] and labels to fit and to attack."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def digits() -> Digits:
    """The 1,797 digits of scikit-learn, 8x8."""
    data = Plugins().factory("datasets", "vision.digits")[1]()(Files())
    return Digits(data.train.floats(), data.train.labels, data.test.floats(), data.test.labels)


def small_cnn() -> nn.Module:
    """Two convolutions and a linear layer."""
    convolutions = (nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(256, 10))


def fitted(
    data: Digits,
    seed: int,
    *,
    make: Callable[[], nn.Module] = small_cnn,
    epochs: int = 12,
    temperature: float = 1.0,
    teacher: nn.Module | None = None,
    harden: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None,
) -> Classifier:
    """A network trained on the digits; with a teacher on its softened answers; ``harden`` moves the images before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make()
        optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
        for _ in range(epochs):
            for index in torch.randperm(len(data.x)).split(64):
                x, y = data.x[index], data.y[index]
                x = harden(network, x, y) if harden else x
                with torch.no_grad():
                    aim = y if teacher is None else (teacher(x) / temperature).softmax(1)
                optimiser.zero_grad()
                F.cross_entropy(network(x), aim).backward()
                optimiser.step()
    scaled = network if temperature == 1 else Scaled(network, temperature)
    return Classifier(scaled, Category(10)).eval().requires_grad_(False)


def coded(data: Digits, seed: int) -> Classifier:
    """A network trained towards random codes of 64 numbers, as studies of label schemes have them."""
    codes = 2 * torch.rand(10, 64, generator=torch.Generator().manual_seed(3)) - 1
    scheme = LabelScheme(codes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = Classifier(nn.Sequential(*list(small_cnn())[:-1], scheme.head(256)), scheme)
        optimiser = torch.optim.Adam(classifier.parameters(), lr=0.003)
        for _ in range(30):
            for index in torch.randperm(len(data.x)).split(64):
                optimiser.zero_grad()
                classifier.loss(data.x[index], data.y[index]).mean().backward()
                optimiser.step()
    scheme.calibrate(classifier.eval().requires_grad_(False).network(data.x[:500]))
    return classifier


def adversarially(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Madry et al. 2018: five steps of 0.04 under linf 0.1 before every update."""
    moved = x
    for _ in range(5):
        moved = moved.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(network(moved), y), moved)
        moved = x + (moved + 0.04 * gradient.sign() - x).clamp(-0.1, 0.1)
        moved = moved.clamp(0, 1)
    return moved.detach()


class Scaled(nn.Module):
    """Logits times a factor: a network trained at a temperature and deployed at 1, or worse."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network = network
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.network(x)


class Quantised(nn.Module):
    """Rounds its input to eight grey values."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x * 7).round() / 7)


class Detached(nn.Module):
    """Cuts the graph, or with ``softly`` leaves one that carries zeros."""

    def __init__(self, network: nn.Module, *, softly: bool = False) -> None:
        super().__init__()
        self.network = network
        self.softly = softly

    def forward(self, x: Tensor) -> Tensor:
        scores = self.network(x.detach())
        return scores + 0 * x.flatten(1).sum(1, keepdim=True) if self.softly else scores


class Noisy(Classifier):
    """Adds noise to its scores, and may keep that to itself."""

    def __init__(self, network: nn.Module, *, declared: bool) -> None:
        super().__init__(network, Category(10))
        self.randomised = declared

    def outputs(self, x: Tensor) -> Outputs:
        scores = super().outputs(x).scores
        return Outputs(scores + torch.randn_like(scores))


class Poisoned(nn.Module):
    """Gives no number where an image is brighter than most clean ones are."""

    def __init__(self, network: nn.Module, brightest: float) -> None:
        super().__init__()
        self.network = network
        self.brightest = brightest

    def forward(self, x: Tensor) -> Tensor:
        scores = self.network(x)
        bright = x.flatten(1).mean(1, keepdim=True) > self.brightest
        return torch.where(bright, torch.full_like(scores, torch.nan), scores)


def softmax_outputs(network: nn.Module) -> nn.Module:
    """A network that gives probabilities."""
    return nn.Sequential(network, nn.Softmax(1))
