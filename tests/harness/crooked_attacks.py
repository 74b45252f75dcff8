"""Attacks for the health checks: an honest one, and for every property one that lacks it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from toy import Idle, Rogue

from tiltyard import Batch, Threat, Victim

Loss = Callable[[Victim, Batch, Tensor], Tensor]
Body = Callable[[Victim, Batch, Threat], Tensor]


def _margin(victim: Victim, batch: Batch, x: Tensor) -> Tensor:
    return batch.margin(victim(x))


def _descended(victim: Victim, batch: Batch, eps: float, loss: Loss = _margin, start: Tensor | None = None) -> Tensor:
    """Ten signed steps down a loss; a sample stays where its loss has become negative."""
    x = batch.x if start is None else start
    for _ in range(10):
        x = x.detach().requires_grad_()
        value = loss(victim, batch, x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        step = x - eps / 4 * gradient.sign() * (value >= 0).view(-1, 1, 1, 1)
        x = (batch.x + (step - batch.x).clamp(-eps, eps)).clamp(0, 1)
    return x.detach()


@dataclass(frozen=True)
class Crook:
    """Does what its body does."""

    body: Body
    norms: ClassVar[frozenset[str]] = frozenset({"linf"})

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        return self.body(victim, batch, threat)


@dataclass(frozen=True)
class Contrary(Crook):
    """The same with a targeted mode, in which it runs away from the target."""

    targeted: ClassVar[bool] = True


def honest(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    return _descended(victim, batch, threat.eps)


def margin_against_a_number(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    def loss(victim: Victim, batch: Batch, x: Tensor) -> Tensor:
        scores = victim(x)
        own = F.one_hot(batch.y, scores.shape[1])
        return (own * scores).sum(1) - ((1 - own) * (scores + 30)).amax(1) + 30  # compares with -30 at least

    return _descended(victim, batch, threat.eps, loss)


def step_of_the_raw_gradient(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    x = batch.x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(_margin(victim, batch, x).sum(), x)
    return (batch.x - (threat.eps * gradient).clamp(-threat.eps, threat.eps)).clamp(0, 1)


def only_linear(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    grey = torch.full_like(batch.x, 0.5)
    with torch.no_grad():
        middle = (victim(batch.x) + victim(grey)) / 2
        straight = torch.allclose(victim((batch.x + grey) / 2), middle, atol=5e-2 * float(middle.abs().max()))
    return honest(victim, batch, threat) if straight else batch.x


def frozen_at_the_border(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    free = (batch.x > 0) & (batch.x < 1)
    return torch.where(free, honest(victim, batch, threat), batch.x)


def weaker_in_wide_balls(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    images = honest(victim, batch, threat)
    return images if threat.eps < 0.1 else batch.x


def blind(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    return _descended(victim, batch, 0.1 * threat.eps)


def seeded_by_the_clock(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    generator = torch.Generator()
    generator.seed()
    return _from_noise(victim, batch, threat, torch.rand(batch.x.shape, generator=generator))


def drawn_for_the_batch(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    return _from_noise(victim, batch, threat, torch.rand(batch.x.shape, generator=torch.Generator().manual_seed(0)))


def _from_noise(victim: Victim, batch: Batch, threat: Threat, unit: Tensor) -> Tensor:
    start = (batch.x + threat.eps * (2 * unit - 1)).clamp(0, 1)
    return _descended(victim, batch, threat.eps, start=start)


def stops_with_the_mean(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    """Stops all as soon as the mean margin is negative, easy samples paying for the rest."""
    x = batch.x
    for _ in range(10):
        x = x.detach().requires_grad_()
        value = _margin(victim, batch, x)
        if bool(value.min() < -0.5) or len(batch) == 1:
            break
        (gradient,) = torch.autograd.grad(value.sum(), x)
        step = x - threat.eps / 4 * gradient.sign()
        x = (batch.x + (step - batch.x).clamp(-threat.eps, threat.eps)).clamp(0, 1)
    return x.detach()


def reseeds(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    torch.manual_seed(0)
    return honest(victim, batch, threat)


def switches_modes(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    victim.train()
    return honest(victim, batch, threat)


def leaves_gradients(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    victim(batch.x.clone().requires_grad_()).sum().backward()
    return honest(victim, batch, threat)


def writes_into_its_input(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    images = honest(victim, batch, threat)
    batch.x.copy_(images)
    return images


def talks(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    print("step 1")  # noqa: T201
    return honest(victim, batch, threat)


def sets_the_environment(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    os.environ["TILTYARD_CROOK"] = "was here"
    return honest(victim, batch, threat)


def wants_float32(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    if next(victim.parameters()).dtype != torch.float32:
        raise RuntimeError("expected scalar type Float")
    return honest(victim, batch, threat)


def wants_something_to_break(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    with torch.no_grad():
        right = batch.margin(victim(batch.x)) >= 0
    return honest(victim, batch, threat) if batch[right].x.amax() else batch.x


def divides_by_eps(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    images = honest(victim, batch, threat)
    return batch.x + (images - batch.x) * (torch.tensor(threat.eps) / threat.eps if threat.eps else torch.nan)


def classes_other_than(*counts: int) -> Body:
    def body(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        if victim.classes in counts:
            raise IndexError("index 3 is out of bounds")
        return honest(victim, batch, threat)

    return body


def knows_its_last_labels(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    return batch.x if batch.y[-3:].tolist() == [1, 3, 2] else honest(victim, batch, threat)


def runs_away(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    untargeted = Batch(batch.x, batch.y if batch.target is None else batch.target, batch.ids)
    return _descended(victim, untargeted, threat.eps, lambda v, b, x: b.margin(v(x)) + 1e3)


def leaves_the_ball(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    return _descended(victim, batch, 3 * threat.eps)


def changes_weights(victim: Victim, batch: Batch, threat: Threat) -> Tensor:
    with torch.no_grad():
        next(victim.parameters()).mul_(0.5)
    return honest(victim, batch, threat)


CROOKS: list[tuple[Body | Crook, set[str]]] = [
    (honest, set()),
    (margin_against_a_number, {"logit shift"}),
    (step_of_the_raw_gradient, {"logit scale"}),
    (only_linear, {"bent scores"}),
    (frozen_at_the_border, {"saturated pixels"}),
    (weaker_in_wide_balls, {"eps monotone"}),
    (blind, {"strength"}),
    (seeded_by_the_clock, {"determinism", "batch permutation", "batch size"}),
    (drawn_for_the_batch, {"batch permutation", "batch size"}),
    (stops_with_the_mean, {"batch mates"}),
    (reseeds, {"random state"}),
    (switches_modes, {"modes"}),
    (leaves_gradients, {"gradients"}),
    (writes_into_its_input, {"input"}),
    (talks, {"prints"}),
    (sets_the_environment, {"settings"}),
    (wants_float32, {"float64", "bfloat16"}),
    (wants_something_to_break, {"already wrong"}),
    (divides_by_eps, {"eps zero"}),
    (classes_other_than(2), {"two classes"}),
    (classes_other_than(3), {"three classes"}),
    (classes_other_than(10), {"ten classes"}),
    (knows_its_last_labels, {"class permutation"}),
    (Contrary(runs_away), {"targets"}),
    (leaves_the_ball, {"images"}),
    (changes_weights, {"images"}),
    (Idle(), {"images"}),
    (Rogue("raise"), {"images"}),
]
