"""The binarisation test: an attack must find an adversarial image that is known to be there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..contracts import Attack, Batch, Category, Classifier, Norm, Threat, declared, distance, margin
from ..evaluator import evaluate
from ..guard import untouched
from ..victim import outputs
from .trials import ALPHA, at_least

INNER = 512
"""Random images of the ball that the new last layer must tell from the planted one: half of them to fit it."""
HARDNESS = 0.5
"""Where between the furthest of those (0) and the planted image (1) the boundary is put."""
RIDGE = 1e-3
"""Ridge of the discriminant, as a share of the mean variance of the features."""
GAP = 5.0
"""Median margin of the random images, so that no softmax saturates."""
PASSED = 0.95
"""Share of planted tests that an attack must solve, but for what chance explains."""
GUESSED = 0.5
"""Share of tests that random images may solve: where they solve more, an attack that does shows nothing."""


@dataclass(frozen=True)
class Audited:
    """What an attack and as many random images as ``GUESSES`` made of ``tests`` planted adversarial images."""

    tests: int
    unbuilt: int
    """Samples for which no last layer separates the planted image."""
    solved: int
    guessed: int
    reason: str | None = None
    """Why the attack has no verdict on some of them."""

    @property
    def passed(self) -> bool | None:
        """Whether the attack passes, or None where the tests show nothing."""
        if not self.tests or self.guessed > GUESSED * self.tests:
            return None
        return at_least(self.tests - self.solved, self.tests, 1 - PASSED) >= ALPHA


class Planted(nn.Module):
    """A victim's features under a last layer of two classes, of which the second is the planted image's."""

    weight: Tensor
    bias: Tensor

    def __init__(self, classifier: Classifier, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 2)."""
        half = (features(self.classifier, x) @ self.weight + self.bias) / 2
        return torch.stack([half, -half], 1)


def audit(
    classifier: Classifier,
    attack: Attack,
    guesses: Attack,
    batch: Batch,
    norm: Norm,
    eps: float,
    seconds: float = math.inf,
) -> Audited:
    """Plant an adversarial image in the ball around each image of ``batch``, and see whether ``attack`` finds one.

    Zimmermann et al. 2022, "Increasing Confidence in Adversarial Robustness Evaluations", arXiv 2206.13991: the
    last layer is replaced by a binary one on the victim's own features, which calls random images of the ball one
    class and one image on its surface the other. An attack that misses what is known to be there supports no
    claim. ``guesses`` is the attack that guesses at random.
    """
    built = [one for row in range(len(batch)) if (one := _test(classifier, batch[_row(batch, row)], norm, eps))]
    solved = [_solved(test, attack, norm, eps, seconds) for test in built]
    guessed = [_solved(test, guesses, norm, eps, seconds) for test in built]
    reasons = [reason for _, reason in solved if reason]
    unbuilt = len(batch) - len(built)
    return Audited(len(built), unbuilt, _count(solved), _count(guessed), next(iter(reasons), None))


def features(classifier: Classifier, x: Tensor) -> Tensor:
    """What the last linear layer that ran was given, flat (N, D); the scores where there is no such layer.

    A detector that shows its network several versions of an image is read at the first.
    """
    seen: list[Tensor] = []
    linear = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
    hooks = [module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for module in linear]
    try:
        scores = outputs(classifier, x).scores
    finally:
        for hook in hooks:
            hook.remove()
    return (seen[-1] if seen else scores).flatten(1)[: len(x)].to(x.dtype)


def _test(classifier: Classifier, one: Batch, norm: Norm, eps: float) -> tuple[Classifier, Batch] | None:
    """The binary classifier of one sample, which has the class 0; None where the planted image is not told apart."""
    with torch.no_grad(), untouched(classifier):
        one.seed_globals()
        planted = _surface(one, norm, eps)
        inner = torch.cat([one.x, *(_inside(one, norm, eps, draw) for draw in range(1, INNER))])
        clean = torch.cat([features(classifier, part) for part in inner.split(64)]).double()
        found = features(classifier, planted).double()[0]
    weight, bias = _discriminant(clean, found)
    if not bool(weight.isfinite().all() & bias.isfinite()) or float(found @ weight + bias) >= 0:
        return None
    network = Planted(classifier, weight.to(one.x), bias.to(one.x))
    binary = Classifier(network, Category(2)).eval()
    binary.randomised = classifier.randomised
    sample = Batch(one.x, torch.zeros_like(one.y), one.ids, seed=one.seed, key=one.key)
    with torch.no_grad(), untouched(binary):
        there = bool(margin(binary(planted), sample.y) < 0) and bool(margin(binary(one.x), sample.y) > 0)
    return (binary, sample) if there or classifier.randomised else None


def _discriminant(inner: Tensor, planted: Tensor) -> tuple[Tensor, Tensor]:
    """Fisher's discriminant with a ridge, in its dual form: margins ``features @ weight + bias``, planted below 0.

    The boundary is put by images that it was not fitted to, which are as far out as random ones get.
    """
    mean = inner[: INNER // 2].mean(0)
    rows, wanted = inner[: INNER // 2] - mean, planted - mean
    count = len(rows)
    ridge = (RIDGE * rows.square().mean()).clamp_min(1e-30) * count
    gram = rows @ rows.T + ridge * torch.eye(count, dtype=rows.dtype, device=rows.device)
    weight = wanted - rows.T @ torch.linalg.solve(gram, rows @ wanted)
    reached, projected = wanted @ weight, (inner - mean) @ weight
    furthest = projected.amax()
    if not bool(reached > furthest):
        return weight, weight.new_tensor(torch.inf)
    edge = furthest + HARDNESS * (reached - furthest)
    scale = GAP / (edge - projected).median()
    return -scale * weight, scale * (edge + mean @ weight)


def _solved(
    test: tuple[Classifier, Batch], attack: Attack, norm: Norm, eps: float, seconds: float
) -> tuple[bool, str | None]:
    classifier, one = test
    threat = Threat(norm) if declared(attack, "minimal") else Threat(norm, eps)
    record = evaluate(classifier, attack, one, (threat,), (eps,), seconds=seconds).records.iloc[0]
    return bool(record["success"]), None if record["status"] in ("ok", "repaired") else str(record["reason"])


def _count(outcomes: Iterable[tuple[bool, str | None]]) -> int:
    return sum(won for won, _ in outcomes)


def _inside(one: Batch, norm: Norm, eps: float, draw: int) -> Tensor:
    """A random image of the ball, moved into the box."""
    if norm == "linf":
        return (one.x + one.uniform(-eps, eps, draw=draw)).clamp(0, 1)
    radius: float = float(one.uniform(draw=draw, values=1)) ** (1 / one.x[0].numel())
    return (one.x + radius * eps * _direction(one, norm, draw)).clamp(0, 1)


def _surface(one: Batch, norm: Norm, eps: float) -> Tensor:
    """The planted image: a corner of the ball under linf, a random direction otherwise, moved into the box."""
    if norm == "linf":
        return (one.x + eps * one.uniform(-1, 1, draw=INNER).sign()).clamp(0, 1)
    return (one.x + eps * _direction(one, norm, INNER)).clamp(0, 1)


def _direction(one: Batch, norm: Norm, draw: int) -> Tensor:
    drawn = one.normal(draw=draw)
    unit: Tensor = drawn / distance(drawn, norm).view(-1, 1, 1, 1)
    return unit


def _row(batch: Batch, row: int) -> Tensor:
    return torch.tensor([row], device=batch.x.device)
