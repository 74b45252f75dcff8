"""Conformance checks for plugin authors: one function per kind, to be called from the plugin's own tests."""

from __future__ import annotations

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
    """An attack keeps the contract under each of its norms: images verified, determinism, independence of the batch.

    ``independent = False`` leaves the last out, for foreign code that draws for the batch as a whole. Raises
    ``AssertionError`` that names what is broken.
    """
    victim = linear_victim()
    x = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    y = victim(x).argmax(1)
    whole = Batch(x, y, torch.arange(8), key="check")
    for norm in norms or sorted(attack.norms):
        radius = {"linf": eps, "l2": 4 * eps, "l1": 16 * eps, "l0": 8.0}[norm]
        budget = Threat(norm) if declared(attack, "minimal") else Threat(norm, radius)  # type: ignore[arg-type]
        first = evaluate(victim, attack, whole, (budget,), (radius,)).records
        bad = first[~first["status"].isin(["ok"])]
        assert bad.empty, f"{norm}: status {bad['status'].iloc[0]}: {bad['reason'].iloc[0]}"
        again = evaluate(victim, attack, whole, (budget,), (radius,)).records
        assert first["margin"].equals(again["margin"]), f"{norm}: two runs with one seed differ"
        if not independent:
            continue
        parts = [
            evaluate(victim, attack, whole[index], (budget,), (radius,)).records for index in torch.arange(8).split(3)
        ]
        split = torch.tensor([value for part in parts for value in part["margin"]])
        same = torch.allclose(torch.tensor(first["margin"].tolist()), split, atol=1e-3)
        assert same, f"{norm}: results depend on the batch"


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
    if not victim.randomised:
        assert torch.equal(victim.outputs(x).scores, scores), "two forwards differ; declare randomised = True"
    probe = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(victim(probe).max(1).values.sum(), probe)
    assert bool(gradient.isfinite().all()), "the gradient to the input is not finite"
    return victim
