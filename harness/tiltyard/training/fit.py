"""One plain loop that fits a network, epoch by epoch, and can be taken up again after any of them."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from ..contracts import Classifier, Objective, Split, pixels
from ..spec.tables import Training
from .augment import augment
from .checkpoint import Checkpoints
from .layout import lay_out, restore
from .replay import Gradient, recorded

RESIDENT = 4 << 30
"""Bytes of images up to which they are kept on an accelerator."""

PROBES = 8
"""Images on which a network laid out otherwise must say what it said."""

WITHOUT_GRADIENT = 4
"""So many times as many images a pass when no gradient is taken: about as much memory, and less to launch."""


class DivergedError(RuntimeError):
    """The training objective is not finite any more."""


@dataclass(frozen=True)
class Epoch:
    """One row of the history; ``results.EPOCHS`` tells the columns."""

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def score(self, select: str) -> float:
        """What the kept epoch has the most of."""
        return {"accuracy": self.validation_accuracy, "loss": -self.validation_loss, "last": self.epoch}[select]


def own_loss(classifier: Classifier, x: Tensor, y: Tensor) -> Tensor:
    """The label scheme's own loss (N,): what undefended networks are fitted to."""
    return classifier.loss(x, y)


def fit(
    classifier: Classifier,
    train: Split,
    held_out: Split,
    recipe: Training,
    objective: Objective,
    seed: int,
    checkpoints: Checkpoints,
    report: Callable[[Epoch], None],
) -> list[Epoch]:
    """Fit a classifier in place, leave it with the weights of the selected epoch, and return the history.

    After every epoch the state is kept in ``checkpoints``; if there is one already, training goes on from it and
    comes to the same weights as if it had never stopped. Raises ``DivergedError``.
    """
    device = next(classifier.parameters()).device
    lay_out(classifier.network, pixels(train.images[:PROBES].to(device)))
    optimiser = _optimiser(classifier, recipe)
    train, held_out = (_resident(split, device) for split in (train, held_out))
    history: list[Epoch] = []
    best: dict[str, Tensor] = _copied(classifier)
    if (saved := checkpoints.load()) is not None:
        classifier.load_state_dict(saved["classifier"])
        optimiser.load_state_dict(saved["optimiser"])
        history, best = [Epoch(**epoch) for epoch in saved["history"]], saved["best"]
    gradient = _gradient(classifier, train, recipe, objective)
    for number in range(len(history) + 1, recipe.epochs + 1):
        epoch = _epoch(number, classifier, optimiser, gradient, train, held_out, recipe, objective, seed)
        if not history or epoch.score(recipe.select) > max(past.score(recipe.select) for past in history):
            best = _copied(classifier)
        history.append(epoch)
        state = {
            "classifier": classifier.state_dict(),
            "optimiser": optimiser.state_dict(),
            "history": [asdict(past) for past in history],
            "best": best,
        }
        checkpoints.save(number, state)
        report(epoch)
    classifier.load_state_dict(best)
    restore(classifier.network)
    return history


def _resident(split: Split, device: torch.device) -> Split:
    """The split on the device where there is room for it."""
    if device.type == "cpu" or split.images.nbytes > RESIDENT:
        return split
    return Split(split.images.to(device), split.labels.to(device))


def _gradient(classifier: Classifier, train: Split, recipe: Training, objective: Objective) -> Gradient:
    """What a step does before the optimiser's part; recorded for the schemes' own loss, of which all is known."""

    def gradient(x: Tensor, y: Tensor) -> Tensor:
        classifier.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.amp):
            loss = objective(classifier, x, y).float().mean()
        loss.backward()
        return loss.detach()

    if objective is not own_loss:
        return gradient
    classifier.train()
    device = next(classifier.parameters()).device
    size = recipe.batch_size
    x, other = (pixels(images.to(device)) for images in (train.images[:size], train.images[-size:]))
    return recorded(classifier, gradient, x, train.labels[:size].to(device), other)


def _copied(classifier: Classifier) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in classifier.state_dict().items()}


def _optimiser(classifier: Classifier, recipe: Training) -> Any:
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(classifier.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        classifier.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )


def learning_rate(recipe: Training, epochs_done: float) -> float:
    """The learning rate after so many epochs, parts of an epoch included."""
    share = epochs_done / recipe.epochs
    if recipe.schedule == "cosine":
        return recipe.lr * (1 + math.cos(math.pi * share)) / 2
    if recipe.schedule == "multistep":
        return recipe.lr * recipe.gamma ** sum(milestone <= epochs_done for milestone in recipe.milestones)
    if recipe.schedule == "one_cycle":
        return recipe.lr * min(share / 0.3, (1 - share) / 0.7)
    return recipe.lr


def _epoch(
    number: int,
    classifier: Classifier,
    optimiser: Any,
    gradient: Gradient,
    train: Split,
    held_out: Split,
    recipe: Training,
    objective: Objective,
    seed: int,
) -> Epoch:
    started = time.perf_counter()
    device = next(classifier.parameters()).device
    # Every epoch has its own streams, so that one taken up again draws what it would have drawn.
    stream = seed * 1_000_003 + number
    generator = Generator().manual_seed(stream)
    losses: list[Tensor] = []
    classifier.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(stream)
        steps = _steps(len(held_out), recipe) if recipe.full_epochs else None
        batches = list(_batches(len(train), recipe.batch_size, steps, generator))
        for step, index in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(recipe, number - 1 + step / len(batches))
            chosen = train[index.to(train.images.device)]
            x = augment(pixels(chosen.images.to(device)), recipe.augment, generator)
            losses.append(gradient(x, chosen.labels.to(device)))
            optimiser.step()
    train_loss = float(torch.stack(losses).mean())
    if not math.isfinite(train_loss):
        raise DivergedError(f"the loss is {train_loss} in epoch {number}; lower training.lr = {recipe.lr}")
    classifier.eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # an objective may draw: every epoch is validated with the same draws
        loss, accuracy = _validate(classifier, held_out, WITHOUT_GRADIENT * recipe.batch_size, objective)
    rate = learning_rate(recipe, number)
    return Epoch(number, rate, train_loss, loss, accuracy, time.perf_counter() - started)


def _steps(held_out: int, recipe: Training) -> int:
    """Steps of a pass over all images: reckoned from the held-out ones, which are the same for every fraction."""
    return math.ceil(round(held_out * (1 / recipe.validation - 1)) / recipe.batch_size)


def _batches(count: int, size: int, steps: int | None, generator: Generator) -> Iterator[Tensor]:
    """The positions of an epoch's batches: one shuffled pass, or passes one after the other for so many ``steps``."""
    passes = (_pass(count, size, generator) for _ in range(steps or 1))
    yield from itertools.islice(itertools.chain.from_iterable(passes), steps)


def _pass(count: int, size: int, generator: Generator) -> Iterator[Tensor]:
    """A shuffled pass over the positions; a last batch of one is left out, which BatchNorm could not take."""
    for index in torch.randperm(count, generator=generator).split(size):
        if len(index) > 1:
            yield index


def _validate(classifier: Classifier, split: Split, size: int, objective: Objective) -> tuple[float, float]:
    """Mean objective and accuracy on held-out images."""
    device = next(classifier.parameters()).device
    total, right = 0.0, 0
    with torch.no_grad():
        for x, y in split.batches(size, device):
            total += float(objective(classifier, x, y).double().sum())
            right += int((classifier(x).argmax(1) == y).sum())
    return total / len(split), right / len(split)
