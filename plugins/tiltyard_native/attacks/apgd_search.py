"""Auto-PGD's search: descent with momentum, whose step each sample sets for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from tiltyard import Batch, Threat, Victim

from .descent import look, measure, unbroken
from .losses import Loss
from .region import even_step, nearest, random_image, steepest

_WIDER = ((3.0, 0.3), (2.0, 0.3))  # l1: radii in eps, and shares of the steps, before the ball itself


@dataclass(frozen=True)
class _State:
    """What the search knows of each sample (N, ...); ``state[mask]`` drops samples."""

    batch: Batch
    rows: Tensor  # positions in the batch that the search began with
    image: Tensor
    before: Tensor  # the image of one step ago
    best: Tensor  # the image of lowest loss
    slope: Tensor  # the gradient there
    lowest: Tensor  # the loss there
    value: Tensor  # the last loss
    size: Tensor  # length of the next step
    gains: Tensor  # steps that lowered the loss since the last checkpoint
    mark: Tensor  # the lowest loss at the last checkpoint; under l1 how many values the best image changes
    cut: Tensor  # whether the step was shortened there

    def __getitem__(self, mask: Tensor) -> _State:
        return _State(*(getattr(self, field.name)[mask] for field in fields(self)))


@dataclass(frozen=True)
class AutoPGD:
    """``steps`` steps down a loss, from an image of each sample to the one of lowest margin met on the way.

    Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse
    Parameter-free Attacks", ICML, arXiv 2003.01690: steps of 2 eps with momentum, halved for a sample at a
    checkpoint where too few of them helped, the search then going on from rest at its best image. Under l1 as in
    Croce & Hein 2021, "Mind the Box", ICML, arXiv 2103.01208: steps that change two thirds as many values as
    the best image does, through balls of 3 and 2 eps first; here they pass over values that the box would
    stop. A sample leaves as soon as it is broken. Costs ``steps`` gradients and one forward more.
    """

    loss: Loss
    steps: int
    eot: int = 1

    def __call__(self, victim: Victim, batch: Batch, threat: Threat, start: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) inside ball and box, and their margins (N,)."""
        left = self.steps
        for factor, share in _WIDER if threat.norm == "l1" else ():
            steps = int(share * self.steps)
            start = self._descend(victim, batch, replace(threat, eps=factor * threat.eps), start, steps)
            left -= steps
        return self._attack(victim, batch, threat, nearest(start, batch.x, threat.norm, threat.eps), left)

    def _descend(self, victim: Victim, batch: Batch, threat: Threat, start: Tensor, steps: int) -> Tensor:
        """The images of lowest loss in a ball that is too wide: nothing counts as broken there."""
        state = _begin(batch, threat, nearest(start, batch.x, threat.norm, threat.eps))
        for step in range(steps):
            value, _, gradient = measure(self.loss, victim, batch, state.image, self.eot)
            state = _moved(_seen(state, value, gradient), gradient, threat, step, steps)
        return state.best

    def _attack(self, victim: Victim, batch: Batch, threat: Threat, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        state = _begin(batch, threat, start)
        found, reached = start.clone(), torch.full_like(state.lowest, torch.inf)
        for step in range(steps + 1):
            if step == steps:
                margin = look(self.loss, victim, state.batch, state.image, self.eot)
            else:
                value, margin, gradient = measure(self.loss, victim, state.batch, state.image, self.eot)
            better = margin < reached[state.rows]
            found[state.rows[better]], reached[state.rows[better]] = state.image[better], margin[better]
            on = unbroken(victim, margin)
            if step == steps or not bool(on.any()):
                break
            if not bool(on.all()):
                state, value, gradient = state[on], value[on], gradient[on]
            state = _moved(_seen(state, value, gradient), gradient, threat, step, steps)
        return found, reached


def random_start(batch: Batch, threat: Threat, draw: int) -> Tensor:
    """Where Auto-PGD begins: a random image of the ball; under l1 normal noise, moved to the nearest image in 3 eps."""
    if threat.norm != "l1":
        return random_image(batch, threat, draw)
    return nearest(batch.x + batch.normal(draw=2 * draw), batch.x, "l1", _WIDER[0][0] * threat.eps)


def _begin(batch: Batch, threat: Threat, start: Tensor) -> _State:
    far = torch.full_like(batch.y, torch.inf, dtype=start.dtype)
    rows = torch.arange(len(batch), device=start.device)
    sparse = threat.norm == "l1"
    size = torch.full_like(far, threat.eps if sparse else 2 * threat.eps)
    mark = _changed(start, batch.x) if sparse else far
    gains = torch.full_like(far, -1)  # the first image is no gain
    return _State(batch, rows, start, start, start, torch.zeros_like(start), far, far, size, gains, mark, gains < 0)


def _seen(state: _State, value: Tensor, gradient: Tensor) -> _State:
    """The state after a look at its image."""
    better = value < state.lowest
    wide = better.view(-1, 1, 1, 1)
    return replace(
        state,
        best=torch.where(wide, state.image, state.best),
        slope=torch.where(wide, gradient, state.slope),
        lowest=torch.where(better, value, state.lowest),
        gains=state.gains + (value < state.value),
        value=value,
    )


def _moved(state: _State, gradient: Tensor, threat: Threat, step: int, steps: int) -> _State:
    """The state after a checkpoint, if there is one, and a step."""
    if threat.norm == "l1":
        return _sparse(state, gradient, threat, step, steps)
    return _momentum(state, gradient, threat, step, steps)


def _momentum(state: _State, gradient: Tensor, threat: Threat, step: int, steps: int) -> _State:
    window = _windows(steps).get(step)
    if window is not None:
        stuck = (state.gains <= 0.75 * window) | (~state.cut & (state.lowest >= state.mark))
        state, gradient = _restarted(state, gradient, stuck)
        size = torch.where(stuck, state.size / 2, state.size)
        state = replace(state, size=size, gains=torch.zeros_like(state.gains), mark=state.lowest, cut=stuck)
    image, clean = state.image, state.batch.x
    there = nearest(image + steepest(gradient, image, threat.norm, state.size), clean, threat.norm, threat.eps)
    if step:
        pulled = image + 0.75 * (there - image) + 0.25 * (image - state.before)
        there = nearest(pulled, clean, threat.norm, threat.eps)
    return replace(state, image=there, before=image)


def _sparse(state: _State, gradient: Tensor, threat: Threat, step: int, steps: int) -> _State:
    if step and step % max(int(0.04 * steps), 1) == 0:
        changed = _changed(state.best, state.batch.x)
        sparser = changed < 0.95 * state.mark
        state, gradient = _restarted(state, gradient, sparser)
        size = torch.where(sparser, threat.eps, state.size / 1.5).clamp(threat.eps / 10, threat.eps)
        state = replace(state, size=size, mark=changed)
    image = state.image + even_step(gradient, state.image, state.size, (state.mark / 1.5).floor())
    return replace(state, image=nearest(image, state.batch.x, "l1", threat.eps), before=state.image)


def _restarted(state: _State, gradient: Tensor, which: Tensor) -> tuple[_State, Tensor]:
    """Those samples back at their best image, without momentum."""
    wide = which.view(-1, 1, 1, 1)
    image, before = torch.where(wide, state.best, state.image), torch.where(wide, state.best, state.before)
    return replace(state, image=image, before=before), torch.where(wide, state.slope, gradient)


def _changed(image: Tensor, clean: Tensor) -> Tensor:
    """How many values of each image are not the clean ones (N,)."""
    return (image != clean).flatten(1).sum(1).to(image.dtype)


def _windows(steps: int) -> dict[int, int]:
    """Checkpoints, and how many steps each looks back on: 22 % of all at first, then 3 % less, 6 % at least."""
    found: dict[int, int] = {}
    at, share = 0, 22
    while (here := math.ceil((at + share) * steps / 100)) < steps:
        found[here] = here - math.ceil(at * steps / 100)
        at, share = at + share, max(share - 3, 6)
    return found
