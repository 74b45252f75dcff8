"""What the attacks of studies climb, and its gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tiltyard import Batch, Setting, Victim

Objective = Callable[[Victim, Batch, Tensor], Tensor]
"""Values (N,) of images (N, C, H, W), which an attack wants to be large."""


def gradient(objective: Objective, victim: Victim, batch: Batch, image: Tensor) -> Tensor:
    """The gradient (N, C, H, W) of an objective at ``image``, in as many passes as the victim wants."""
    parts = [_gradient(objective, victim, batch[part], image[part]) for part in victim.parts(len(image))]
    return torch.cat(parts)


def _gradient(objective: Objective, victim: Victim, batch: Batch, image: Tensor) -> Tensor:
    image = image.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(objective(victim, batch, image).sum(), image)
    return slope


def scheme_loss(victim: Victim, batch: Batch, image: Tensor) -> Tensor:
    """The label scheme's loss of the label, or less that of the target: away from the one, or towards the other."""
    if batch.target is None:
        return victim.loss(image, batch.y, batch.ids)
    return -victim.loss(image, batch.target, batch.ids)


def cells_as_probabilities(victim: Victim, batch: Batch, image: Tensor) -> Tensor:
    """Cross-entropy of the network's raw outputs and the label's raw code, its first axis taken for the classes.

    For categories that is the cross-entropy of the label. For any other code it is no loss that the network was
    trained with, and nothing that its decision follows; negative cells turn it around.
    """
    wanted = victim.codes[batch.y].to(image)
    return F.cross_entropy(victim.raw(image, batch.ids), wanted, reduction="none").reshape(len(image), -1).mean(1)


def label_logit(victim: Victim, batch: Batch, image: Tensor) -> Tensor:
    """The label's logit, negated: without a softmax, no other class plays a part."""
    return F.nll_loss(victim.raw(image, batch.ids), batch.y, reduction="none")


def without_logits(setting: Setting) -> str | None:
    """Why an attack on logits cannot take part, or None."""
    return None if setting.labels.category else "the study attacked logits, which category labels alone have"
