"""The saliency map attack, which defensive distillation was published against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from tiltyard import Batch, Norm, Setting, Threat, Victim

from .objective import without_logits


@dataclass(frozen=True)
class JSMA:
    """Sets two values at a time to one: those that raise the target's output the most and lower all the others'.

    Papernot et al. 2016, "The Limitations of Deep Learning in Adversarial Settings", EuroS&P, arXiv 1511.07528, in the
    form that only raises values; the attack of Papernot et al. 2016, "Distillation as a Defense", arXiv 1511.04508, on
    the outputs of a softmax at temperature 1, with 112 values. Faults: the gradient of that softmax is exactly zero
    where it saturates, and the image then stays as it is, which was taken for robustness; what was set is never set
    back. ``on = "logits"`` follows the network's logits instead, as Carlini and Wagner 2016, arXiv 1607.04311, do.
    Without a target it goes for the strongest other class. It attacks the network alone, and knows of no detector.
    """

    norms: ClassVar[frozenset[Norm]] = frozenset({"l0"})
    targeted: ClassVar[bool] = True

    on: Literal["softmax", "logits"] = "softmax"

    def refuse(self, setting: Setting) -> str | None:
        """Why it cannot take part, or None."""
        return without_logits(setting)

    def __call__(self, victim: Victim, batch: Batch, threat: Threat) -> Tensor:
        """Images in which at most ``threat.eps`` values are one that were not."""
        return torch.cat([self._raised(victim, batch[part], int(threat.eps)) for part in victim.parts(len(batch))])

    def _raised(self, victim: Victim, batch: Batch, values: int) -> Tensor:
        image, target = batch.x.clone(), _target(victim, batch)
        rows = torch.arange(len(image), device=image.device)
        for _ in range(values // 2):
            there, up, down = self._look(victim, batch[rows], image[rows], target[rows])
            free = image[rows].flatten(1) < 1
            pairs = [None if there[n] else _pair(up[n], down[n], free[n]) for n in range(len(rows))]
            rows = rows[[pair is not None for pair in pairs]]
            if not len(rows):
                break
            image.view(len(image), -1)[rows.unsqueeze(1), torch.stack([pair for pair in pairs if pair is not None])] = 1
        return image

    def _look(self, victim: Victim, batch: Batch, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Whether each image is in its target's class (N,), and the slopes (N, D) of its output and of all others'."""
        image = image.requires_grad_()
        with torch.enable_grad():
            logits = victim.raw(image, batch.ids)
            outputs = logits.softmax(1) if self.on == "softmax" else logits
            wanted = outputs.gather(1, target.unsqueeze(1)).sum()
            (up,) = torch.autograd.grad(wanted, image, retain_graph=True)
            (down,) = torch.autograd.grad(outputs.sum() - wanted, image)
        return logits.argmax(1) == target, up.flatten(1), down.flatten(1)


def _target(victim: Victim, batch: Batch) -> Tensor:
    """The target of each sample, or the class that scores highest beside its label."""
    if batch.target is not None:
        return batch.target
    with torch.no_grad():
        logits = victim.raw(batch.x, batch.ids)
    return logits.scatter(1, batch.y.unsqueeze(1), -torch.inf).argmax(1)


def _pair(up: Tensor, down: Tensor, free: Tensor) -> Tensor | None:
    """The two ``free`` values (of D) whose slopes sum up to the best: up > 0, down < 0, and -up * down the largest.

    None where no pair has both signs.
    """
    places = free.nonzero().flatten()
    if len(places) < 2:
        return None
    # Products of slopes that are small everywhere would be zero in float32; the best pair does not depend on scale.
    up, down = (_scaled(slope[places]) for slope in (up, down))
    first = _foremost(up, -down)
    above, below = up[first].unsqueeze(1) + up[first], down[first].unsqueeze(1) + down[first]
    merit = torch.where((above > 0) & (below < 0), -above * below, 0).fill_diagonal_(0)
    best, at = merit.flatten().max(0)
    return places[first[torch.stack([at // len(first), at % len(first)])]] if best > 0 else None


def _foremost(one: Tensor, other: Tensor) -> Tensor:
    """The positions (of D) at which at most one other position is at least as large in both tensors.

    Of a best pair, each is there: a second value that is as large in both would take its place. They are few.
    """
    order = one.argsort(descending=True)
    ranked = other[order]
    largest = ranked.cummax(0).values
    none = ranked.new_full((1,), -torch.inf)
    # Each value either becomes the largest so far or is itself a candidate for the second largest.
    second = torch.cat([none, torch.minimum(ranked[1:], largest[:-1])]).cummax(0).values
    return order[ranked > torch.cat([none, second[:-1]])]


def _scaled(slope: Tensor) -> Tensor:
    """The slopes with the largest one at 1; all zero where all are."""
    return slope / slope.abs().max().clamp_min(torch.finfo(slope.dtype).tiny)
