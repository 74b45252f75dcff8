"""Conformance checks for plugin authors: one function per kind, to be called from the plugin's own tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from .contracts import (
    Attack,
    Batch,
    Category,
    Classifier,
    Data,
    Dataset,
    Defence,
    Files,
    Labels,
    LabelScheme,
    Model,
    Objective,
    Threat,
    declared,
)
from .evaluator import evaluate
from .health import check, sound

SECONDS = 20.0
"""What the checks of an attack under one norm may take."""
BATCHWISE = ("batch permutation", "batch size", "random state")
"""What code lacks that draws for a batch as a whole from global generators."""


def linear_victim(classes: int = 4, shape: tuple[int, int, int] = (1, 6, 6), seed: int = 0) -> Classifier:
    """A linear classifier with random weights, on which every attack has a closed-form optimum."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(shape[0] * shape[1] * shape[2], classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
        layer.bias.zero_()
    return Classifier(nn.Sequential(nn.Flatten(), layer), Category(classes)).eval().requires_grad_(False)


def check_attack(
    attack: Attack, norms: Sequence[str] | None = None, eps: float = 0.25, *, independent: bool = True
) -> None:
    """An attack has, under each of its norms, every property that ``bench doctor`` looks at (docs/doctor.md).

    Besides, its images are verified at ``eps`` (of linf; four times that under l2, 16 times under l1, 8 values
    under l0). ``independent = False`` is for foreign code that draws for the batch as a whole. What the attack
    declares in ``defects`` may fail. Raises ``AssertionError`` that names what is broken.
    """
    for norm in norms or sorted(attack.norms):
        _check_images(attack, norm, eps)
        found = check(attack, norm, SECONDS)  # type: ignore[arg-type]
        broken = [each for each in found.failed if not each.known and (independent or each.property not in BATCHWISE)]
        assert not broken, "; ".join(f"{norm}: {each.property}: {each.evidence}" for each in broken)
        assert found.failed or sound(found.badge), f"{norm}: {found.badge}"


def _check_images(attack: Attack, norm: str, eps: float) -> None:
    victim = linear_victim()
    x = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    batch = Batch(x, victim(x).argmax(1), torch.arange(8), key="check")
    radius = {"linf": eps, "l2": 4 * eps, "l1": 16 * eps, "l0": 8.0}[norm]
    units = "pixels" if "pixels" in declared(attack, "units") else "normalised"
    budget = Threat(norm, math.inf if declared(attack, "minimal") else radius, units=units)  # type: ignore[arg-type]
    records = evaluate(victim, attack, batch, (budget,), (radius,)).records
    bad = records[records["status"] != "ok"]
    assert bad.empty, f"{norm}: status {bad['status'].iloc[0]}: {bad['reason'].iloc[0]}"


def check_labels(labels: Labels, classes: Sequence[str] = ("ant", "bee", "cat", "dog")) -> LabelScheme:
    """A label scheme decodes each of its own codes to the right class, and its head and loss fit its shape."""
    scheme = labels(tuple(classes), Files())
    assert scheme.classes == len(classes), f"{scheme.classes} codes for {len(classes)} classes"
    y = torch.arange(scheme.classes)
    assert torch.equal(scheme.scores(scheme.codes).argmax(1), y), "a code is nearest to another class's code"
    out = scheme.head(16).eval()(torch.randn(2, 16))
    assert out.shape[1:] == scheme.shape, f"the head gives {tuple(out.shape[1:])}, not {scheme.shape}"
    assert scheme.loss(scheme.codes, y).shape == y.shape, "loss is one number per sample"
    return scheme


def check_model(model: Model, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 4) -> nn.Module:
    """A model makes a network from images of ``shape`` to its head's output, with a gradient to its input."""
    network = model(shape, Category(classes).head).eval()
    x = torch.rand(2, *shape, requires_grad=True)
    out = network(x)
    assert out.shape == (2, classes), f"output {tuple(out.shape)}, not {(2, classes)}"
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert bool(gradient.isfinite().all()), "the gradient to the input is not finite"
    return network


def check_dataset(dataset: Dataset, files: Files | None = None) -> Data:
    """A data set loads, twice the same, and holds as many classes as it declares."""
    data = dataset(files or Files())
    assert dataset.classes in (None, len(data.classes)), (
        f"{dataset.classes} classes declared, {len(data.classes)} found"
    )
    assert dataset(files or Files()).test.sha256() == data.test.sha256(), "two loads differ"
    return data


class SandboxTrainer:
    """A ``Trainer`` for a linear network and four classes of images that are told apart by their brightest corner."""

    def __init__(self) -> None:
        self.scheme: LabelScheme = Category(4)
        self.held_out = self._images(64, seed=1)

    def __call__(self, objective: Objective | None = None, *, key: str = "") -> Classifier:
        """A classifier after a hundred steps of gradient descent."""
        assert objective is None or key, "an objective needs a key that names it with all its parameters"
        classifier = linear_victim(shape=(1, 8, 8)).requires_grad_(True)
        for parameter in classifier.parameters():
            torch.nn.init.zeros_(parameter)
        x, y = self._images(256, seed=0)
        for _ in range(100):
            losses = objective(classifier, x, y) if objective else classifier.loss(x, y)
            assert losses.shape == y.shape, f"the objective gives {tuple(losses.shape)}, not one loss per sample"
            gradients = torch.autograd.grad(losses.mean(), list(classifier.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(classifier.parameters(), gradients, strict=True):
                    parameter.sub_(0.5 * gradient)
        return classifier.requires_grad_(False)

    @staticmethod
    def _images(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        y = torch.arange(count) % 4
        x = 0.2 + 0.2 * torch.rand(count, 1, 8, 8, generator=generator)
        for label, (row, column) in enumerate(((0, 0), (0, 4), (4, 0), (4, 4))):
            x[y == label, :, row : row + 4, column : column + 4] += 0.5
        return x, y


def check_defence(defence: Defence) -> Classifier:
    """A defence returns a classifier that is right on easy images, repeatable, and open to a gradient."""
    train = SandboxTrainer()
    victim = defence(train).eval()
    x, y = train.held_out
    scores, rejection = victim.outputs(x)
    assert scores.shape == (len(x), 4), f"scores {tuple(scores.shape)}, not {(len(x), 4)}"
    assert rejection is None or rejection.shape == y.shape, "the rejection margin is one number per sample"
    accepted = torch.ones_like(y, dtype=torch.bool) if rejection is None else rejection <= 0
    right = float(((scores.argmax(1) == y) & accepted).float().mean())
    assert right > 0.8, f"{100 * right:.0f} % of easy clean images are right and accepted"
    _check_repeatable(victim, x, scores)
    probe = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(victim(probe).max(1).values.sum(), probe)
    assert bool(gradient.isfinite().all()), "the gradient to the input is not finite"
    return victim


def _check_repeatable(victim: Classifier, x: torch.Tensor, scores: torch.Tensor) -> None:
    """Two forwards agree: as they are, or from the same state of torch's generator if the victim is randomised."""
    if not victim.randomised:
        assert torch.equal(victim.outputs(x).scores, scores), "two forwards differ; declare randomised = True"
        return
    answers = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            answers.append(victim.outputs(x[:1]).scores)
    assert torch.equal(*answers), "two forwards from one seed differ; draw from torch's global generator alone"
